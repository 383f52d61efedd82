-- Control sends a worker on an errand, and waits for its answers from now on.
--
-- KEYS[1] the worker's heartbeat
-- KEYS[2] its errands
-- KEYS[3] lease of this one
-- ARGV errand id, the errand, most that may wait, how long they do (ms), the lease's life (ms)
-- Result: 'ok' | 'gone' the worker | 'busy' it has not taken what was sent before

if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
-- What nobody has taken for so long, nobody waits for any more.
local now = redis.call('TIME')
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f', now[1] * 1000 - tonumber(ARGV[4])))
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 'busy' end
redis.call('SET', KEYS[3], 1, 'PX', ARGV[5])
redis.call('XADD', KEYS[2], '*', 'i', ARGV[1], 'e', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 'ok'
