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
-- ARGV now ms, that time as an event has it; token of this take, how long the job is locked in ms ('0': nothing new is taken), the worker's
--      free cpu millis and memory bytes, what it says in each request (packed: prefix of BullMQ's keys, worker, placement, verdict and event
--      of EXPIRED_IN_QUEUE, events of PREPARING for each attempt that a run may have, those of STARTING; no event has its time), and of each image
--      that it has the reference and the digest
-- Result: {'1' if others wait, run, attempt, spec, limits, submitted ms, digest of the image with which it is STARTING ('' if it is not)} |
--      {'1' or '0'} nothing was taken
--- @include take

return ask({ KEYS, { unpack(ARGV, 3) } }, ARGV[1], ARGV[2])
