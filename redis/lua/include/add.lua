-- Adds a job as BullMQ's addStandardJob and addPrioritizedJob do, in the same write as what belongs to it; queue.test.ts compares. `first`: the
-- place of the prefix of BullMQ's keys; the job's id, data, options and priority follow.

-- With further fields of the job, and their values. False: it is there already, and stays as it is.
local function storeJob(first, nowMs, ...)
  local prefix, id, data, options, priority = unpack(ARGV, first, first + 4)
  redis.call('INCR', prefix .. 'id')
  if redis.call('EXISTS', prefix .. id) == 1 then return false end
  redis.call('HSET', prefix .. id, 'name', 'run', 'data', data, 'opts', options, 'timestamp', nowMs, 'delay', '0', 'priority', priority, ...)
  return true
end

local function addJob(first, nowMs)
  local prefix, id, priority = ARGV[first], ARGV[first + 1], tonumber(ARGV[first + 4])
  if not storeJob(first, nowMs) then return end
  if priority > 0 then
    local order = redis.call('INCR', prefix .. 'pc') % 0x100000000
    redis.call('ZADD', prefix .. 'prioritized', string.format('%.0f', priority * 0x100000000 + order), id)
  else
    redis.call('LPUSH', prefix .. 'wait', id)
  end
  local meta = redis.call('HMGET', prefix .. 'meta', 'paused', 'concurrency')
  local isFull = meta[2] and redis.call('LLEN', prefix .. 'active') >= tonumber(meta[2])
  if not (meta[1] or isFull) then redis.call('ZADD', prefix .. 'marker', '0', '0') end
end

-- Where nothing waits, a job is a worker's without having waited: BullMQ is left with the same. False: it has to be added first.
local function addTaken(first, token, lockMs, nowMs)
  local prefix, id = ARGV[first], ARGV[first + 1]
  if redis.call('EXISTS', prefix .. 'wait', prefix .. 'prioritized', prefix .. 'delayed') > 0 then return false end
  local meta = redis.call('HMGET', prefix .. 'meta', 'paused', 'concurrency', 'max')
  if meta[1] or meta[2] or meta[3] or not storeJob(first, nowMs, 'processedOn', nowMs, 'ats', '1') then return false end
  redis.call('LPUSH', prefix .. 'active', id)
  redis.call('SET', prefix .. id .. ':lock', token, 'PX', lockMs)
  redis.call('ZREM', prefix .. 'marker', '0')
  return id
end
