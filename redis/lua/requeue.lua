-- An attempt is given up for our fault, and the next one is put into the queue with its job. A worker that waits for a job has it at once.
--
-- KEYS[1] record
-- KEYS[2] events
-- KEYS[3] inbox
-- KEYS[4] input taken
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- KEYS[8] requests of workers that stand
-- ARGV run, attempt, state in which it must be ('' for any), most attempts, event of QUEUED, now ms, prefix of
--      BullMQ's keys, the job's id, data, options and priority, now as an event has it
-- Result: 1 | 0 fenced off, no attempt left, to be cancelled, or input was taken that no other attempt would get
--- @include fence
--- @include handover
--- @include queue

local run = ARGV[1]
local field = redis.call('HMGET', KEYS[1], 'attempt', 'cancel', 'taken', 'worker', 'deadline')
local following = tonumber(ARGV[2]) + 1
-- Sent again after a lost answer.
if field[1] == tostring(following) then return 1 end
local state = fence(ARGV[2])
if not state or state == 'SEALED' or (ARGV[3] ~= '' and ARGV[3] ~= state) then return 0 end
if following > tonumber(ARGV[4]) or field[2] or tonumber(field[3] or 0) > 0 then return 0 end

move(run, state, 'QUEUED')
redis.call('HSET', KEYS[1], 'attempt', following)
redis.call('HDEL', KEYS[1], 'token', 'worker', 'placement', 'image', 'started', 'out1', 'out2', 'truncated')
redis.call('SREM', field[4], run)
if field[5] then redis.call('ZADD', KEYS[6], field[5], run) end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[5])
finishJob(ARGV[7], run .. '-' .. ARGV[2])
addAndHandOver(7, KEYS[8], ARGV[6], ARGV[12])
return 1
