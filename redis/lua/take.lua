-- A worker takes the next job of a queue, and with it the job's run: QUEUED → PREPARING, and → STARTING where the worker has the image and
-- the room, so that nothing is left to prepare. A job whose run is gone, has ended, or has waited too long is dropped.
--
-- KEYS[1] the worker's last take from this queue
-- KEYS[2] runs of the worker
-- KEYS[3] all workers
-- KEYS[4] prefix of records
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- ARGV token of this take, prefix of BullMQ's keys, how long the job is locked in ms, worker, placement, verdict and event of
--      EXPIRED_IN_QUEUE, now ms, the worker's free cpu millis and memory bytes, how many attempts a run may have, then the events of
--      PREPARING for each attempt, those of STARTING, and of each image that the worker has the reference and the digest
-- Result: {'1' if others wait, run, attempt, spec, limits, submitted ms, digest of the image with which it is STARTING ('' if it is not)} |
--      {'1' or '0'} nothing was taken
local worker, workers, lastTake, records = KEYS[2], KEYS[3], KEYS[1], KEYS[4]
local token, prefix, nowMs = ARGV[1], ARGV[2], ARGV[8]
local rest = { KEYS[5], KEYS[6], KEYS[7] }
local freeCpu, freeMemory, mostAttempts = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local preparing, starting, images = 11, 11 + mostAttempts, 12 + 2 * mostAttempts
-- Of the run, once it is known; what is included below means these.
local KEYS = {}
--- @include end
--- @include fence
--- @include queue

-- So many pointless jobs are dropped in one go.
local patience = 100

-- The digest of the run's image, if it can start at once.
local function readyImage(record)
  local field = redis.call('HMGET', record, 'reference', 'cpu', 'memory')
  if (field[1] or '') == '' or tonumber(field[2]) > freeCpu or tonumber(field[3]) > freeMemory then return nil end
  for i = images, #ARGV, 2 do
    if ARGV[i] == field[1] then return ARGV[i + 1] end
  end
end

local function claim(run, attempt)
  local record = records .. run
  KEYS[1], KEYS[2], KEYS[3], KEYS[4] = record, record .. ':events', record .. ':inbox', record .. ':taken'
  KEYS[5], KEYS[6], KEYS[7] = rest[1], rest[2], rest[3]
  local field = redis.call('HMGET', record, 'state', 'attempt', 'token', 'deadline', 'spec', 'limits', 'submitted', 'image')
  if field[2] ~= attempt then return nil end
  if field[1] == 'QUEUED' then
    local now = redis.call('TIME')
    if field[4] and tonumber(field[4]) < now[1] * 1000 + math.floor(now[2] / 1000) then
      endRun(run, 'QUEUED', 'system', ARGV[6], ARGV[7], nowMs)
      return nil
    end
    redis.call('HSET', record, 'token', token, 'worker', worker, 'placement', ARGV[5])
    redis.call('SADD', worker, run)
    redis.call('SADD', workers, ARGV[4])
    redis.call('ZREM', KEYS[6], run)
    redis.call('XADD', KEYS[2], '*', 'e', ARGV[preparing + tonumber(attempt)])
    field[8] = readyImage(record)
    if field[8] then
      redis.call('HSET', record, 'image', field[8])
      redis.call('XADD', KEYS[2], '*', 'e', ARGV[starting + tonumber(attempt)])
    end
    move(run, 'QUEUED', field[8] and 'STARTING' or 'PREPARING')
  elseif field[3] ~= token then
    return nil
  end
  return { run, attempt, field[5], field[6], field[7], field[8] or '' }
end

local function take(job)
  local run, attempt = job:match('^(.+)%-(%d+)$')
  local claimed = run and claim(run, attempt)
  if not claimed then return finishJob(prefix, job, nowMs) end
  redis.call('SET', lastTake, token .. ' ' .. job, 'PX', 60000)
  table.insert(claimed, 1, othersWait(prefix) and '1' or '0')
  return claimed
end

-- Sent again after a lost answer.
local last = redis.call('GET', lastTake)
local lastToken, lastJob = string.match(last or '', '^(%S+) (%S+)$')
if lastToken == token then return take(lastJob) or { '1' } end

for _ = 1, patience do
  local job = nextJob(prefix, token, ARGV[3], nowMs)
  if not job then return { othersWait(prefix) and '1' or '0' } end
  local taken = take(job)
  if taken then return taken end
end
return { '1' }
