-- A queued run whose job is missing gets it again.
--
-- KEYS[1] record
-- ARGV attempt, now ms, prefix of BullMQ's keys, the job's id, data, options and priority
-- Result: 1 | 0 no longer queued as this attempt
--- @include add

local field = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if field[1] ~= 'QUEUED' or field[2] ~= ARGV[1] then return 0 end
addJob(3, ARGV[2])
return 1
