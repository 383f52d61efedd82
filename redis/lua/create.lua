-- Creates a run: record, first event and BullMQ job, or names the run that its idempotency key already has. A worker that waits for a job
-- has it at once.
--
-- KEYS[1] record
-- KEYS[2] events
-- KEYS[3] inbox
-- KEYS[4] input taken
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- KEYS[8] all runs
-- KEYS[9] idempotency key (any name when there is none)
-- KEYS[10] requests of workers that stand
-- ARGV run, spec digest ('' without idempotency key), most runs that may wait, spec, limits, queue, submitted ms, start within ms ('' for
--      no deadline), retention ms, stdin ('1' by Attach), event, sealed registry credential ('' for
--      none), its expiry in ms, how long an attempt needs it ('running' or 'ended'), cpu millis, memory bytes, image reference ('' where a
--      worker must look anew what it stands for), prefix of BullMQ's keys, the job's id, data, options and priority, submitted ms as an event has it
-- Result: {'created', run, its events as XRANGE has them} | {'known', run} | {'conflict', run} | {'full'}
--- @include handover

local run, digest = ARGV[1], ARGV[2]

if digest ~= '' then
  local known = redis.call('GET', KEYS[9])
  if known then
    local other, theirs = known:match('^(%S+) (%S+)$')
    if theirs ~= digest then return { 'conflict', other } end
    if other ~= run then return { 'known', other } end
  end
end
-- Sent again after a lost answer.
if redis.call('EXISTS', KEYS[1]) == 1 then return { 'created', run, redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1) } end

if redis.call('ZCARD', KEYS[5] .. 'QUEUED') >= tonumber(ARGV[3]) then return { 'full' } end

redis.call('HSET', KEYS[1], 'state', 'QUEUED', 'attempt', 1, 'spec', ARGV[4], 'limits', ARGV[5], 'queue', ARGV[6], 'submitted', ARGV[7],
  'retention', ARGV[9], 'cpu', ARGV[15], 'memory', ARGV[16], 'reference', ARGV[17])
if ARGV[8] ~= '' then
  local now = redis.call('TIME')
  local deadline = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[8]
  redis.call('HSET', KEYS[1], 'deadline', deadline)
  redis.call('ZADD', KEYS[6], deadline, run)
end
if ARGV[10] == '1' then redis.call('HSET', KEYS[1], 'stdin', 1) end
if ARGV[12] ~= '' then
  redis.call('HSET', KEYS[1], 'credential', ARGV[14])
  redis.call('SET', KEYS[1] .. ':credential', ARGV[12], 'PX', ARGV[13])
end
if digest ~= '' then
  redis.call('HSET', KEYS[1], 'idempotency', KEYS[9])
  redis.call('SET', KEYS[9], run .. ' ' .. digest)
end
redis.call('ZADD', KEYS[8], 0, run)
redis.call('ZADD', KEYS[5] .. 'QUEUED', 0, run)
redis.call('XADD', KEYS[2], '*', 'e', ARGV[11])
addAndHandOver(18, KEYS[10], ARGV[7], ARGV[23])
return { 'created', run, redis.call('XRANGE', KEYS[2], '-', '+') }
