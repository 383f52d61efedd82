-- A queued run whose job is missing gets it again.
--
-- KEYS[1] record
-- KEYS[2] BullMQ's key 1
-- KEYS[3] BullMQ's key 2
-- KEYS[4] BullMQ's key 3
-- KEYS[5] BullMQ's key 4
-- KEYS[6] BullMQ's key 5
-- KEYS[7] BullMQ's key 6
-- KEYS[8] BullMQ's key 7
-- KEYS[9] BullMQ's key 8
-- KEYS[10] BullMQ's key 9
-- ARGV attempt, BullMQ's script, its three arguments
-- Result: 1 | 0 no longer queued as this attempt
--- @include add

local field = redis.call('HMGET', KEYS[1], 'state', 'attempt')
if field[1] ~= 'QUEUED' or field[2] ~= ARGV[1] then return 0 end
addJob(2, 2)
return 1
