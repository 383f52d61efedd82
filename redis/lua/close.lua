-- Control ends a run that no worker will end: lost, or over its start deadline.
--
-- KEYS[1] record
-- KEYS[2] events
-- KEYS[3] inbox
-- KEYS[4] input taken
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- ARGV run, attempt, state in which it must be, verdict, event, now ms
-- Result: 1 | 0 something happened to it meanwhile
--- @include end

local field = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if field[1] ~= ARGV[3] or field[2] ~= ARGV[2] then return 0 end
endRun(ARGV[1], field[1], 'system', ARGV[4], ARGV[5], ARGV[6])
return 1
