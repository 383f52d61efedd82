-- A worker asks for a job (include/take.lua). Where it finds none, its request stands until one is added or it asks again.
--
-- KEYS[1] the worker's last take from this queue
-- KEYS[2] runs of the worker
-- KEYS[3] all workers
-- KEYS[4] prefix of records
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- KEYS[8] requests that stand
-- KEYS[9] channel on which the worker hears what it is handed
-- ARGV now ms, that time as an event has it; token of this take, prefix of BullMQ's keys, how long the job is locked in ms ('0': nothing new is taken), worker, placement,
--      verdict and event of EXPIRED_IN_QUEUE, the worker's free cpu millis and memory bytes, how many attempts a run may have, then the
--      events of PREPARING for each attempt, those of STARTING, and of each image that the worker has the reference and the digest. No
--      event has its time.
-- Result: {'1' if others wait, run, attempt, spec, limits, submitted ms, digest of the image with which it is STARTING ('' if it is not)} |
--      {'1' or '0'} nothing was taken
--- @include take

local words = {}
for i = 3, #ARGV do words[i - 2] = ARGV[i] end
local worker = words[4]
local request = { KEYS, words }
local result = answer(request, ARGV[1], ARGV[2], false)

if result[1] == '0' and not result[2] then
  -- On no disk: a Redis that starts again finds the jobs that were added meanwhile marked, and the worker is woken.
  redis.set_repl(redis.REPL_NONE)
  redis.call('HSET', KEYS[8], worker, cmsgpack.pack(request))
else
  redis.call('HDEL', KEYS[8], worker)
end
return result
