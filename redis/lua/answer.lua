-- A worker says what has come of an errand so far.
--
-- KEYS[1] lease of the errand
-- KEYS[2] its answers
-- ARGV the answer ('' for a sign of life), '1' if it is the last, most answers that are kept, how long (ms)
-- Result: 1 | 0 nobody waits any more, nothing is kept

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local entry = { 'a', ARGV[1] }
if ARGV[2] == '1' then entry = { 'a', ARGV[1], 'last', 1 } end
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[3], '*', unpack(entry))
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
