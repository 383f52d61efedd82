-- A worker that is gone, and has left no runs behind, is forgotten.
--
-- KEYS[1] heartbeat
-- KEYS[2] its runs
-- KEYS[3] its errands
-- KEYS[4] all workers
-- ARGV worker, '1' when it says so itself
-- Result: 1 | 0 it lives, or has runs left

if ARGV[2] == '1' then redis.call('DEL', KEYS[1]) end
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return 0 end
redis.call('DEL', KEYS[3])
redis.call('SREM', KEYS[4], ARGV[1])
return 1
