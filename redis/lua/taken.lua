-- The program has taken its input up to here: what is done with leaves the inbox, and there is room for more.
--
-- KEYS[1] record
-- KEYS[2] inbox
-- KEYS[3] input taken
-- ARGV attempt, bytes, smallest entry id to keep
-- Result: 1 | 0 fenced off
--- @include fence

local state = fence(ARGV[1])
if not state then return 0 end
if state == 'SEALED' then return 1 end
redis.call('XTRIM', KEYS[2], 'MINID', '=', ARGV[3])
redis.call('HSET', KEYS[1], 'taken', ARGV[2])
redis.call('XADD', KEYS[3], 'MAXLEN', 1, '*', 'n', ARGV[2])
return 1
