-- A queue as BullMQ keeps it. Jobs of ours are plain (no delay, no parent, no duplicates, forgotten when they are over), so what BullMQ's own
-- scripts do to one takes a fifth of their calls; queue.test.ts compares. BullMQ's stream of events, which nobody reads, is left out.

-- Of a queue that somebody has paused, limited, or given delayed jobs.
local function nextOfBullmq(prefix, token, lockMs, nowMs)
  local function moveToActive(KEYS, ARGV)
    --- @bullmq moveToActive-11
  end
  local names = { 'wait', 'active', 'prioritized', 'events', 'stalled', 'limiter', 'delayed', 'paused', 'meta', 'pc', 'marker' }
  local keys = {}
  for i, name in ipairs(names) do keys[i] = prefix .. name end
  local options = cmsgpack.pack({ token = token, lockDuration = tonumber(lockMs) })
  local job = moveToActive(keys, { prefix, nowMs, options })[2]
  return job ~= 0 and job or nil
end

local function nextPlainJob(prefix, token, lockMs, nowMs)
  local id = redis.call('RPOPLPUSH', prefix .. 'wait', prefix .. 'active')
  if not id then
    id = redis.call('ZPOPMIN', prefix .. 'prioritized')[1]
    redis.call('LPUSH', prefix .. 'active', id)
  end
  redis.call('SET', prefix .. id .. ':lock', token, 'PX', lockMs)
  redis.call('HSET', prefix .. id, 'processedOn', nowMs)
  redis.call('HINCRBY', prefix .. id, 'ats', '1')
  return id
end

-- With each job that is `taken` BullMQ marks the queue, for it may hold more, and a worker that waits is woken by the mark: here only as long
-- as there are any.
local function othersWait(prefix, taken)
  if redis.call('EXISTS', prefix .. 'wait', prefix .. 'prioritized') == 0 then
    redis.call('ZREM', prefix .. 'marker', '0')
    return false
  end
  if taken then redis.call('ZADD', prefix .. 'marker', '0', '0') end
  return true
end

-- The id of the job that is the worker's now (nil: none can be had), and whether others wait.
local function nextJob(prefix, token, lockMs, nowMs)
  if redis.call('EXISTS', prefix .. 'wait', prefix .. 'prioritized', prefix .. 'delayed') == 0 then
    redis.call('DEL', prefix .. 'pc')
    redis.call('ZREM', prefix .. 'marker', '0')
    return nil, false
  end
  local meta = redis.call('HMGET', prefix .. 'meta', 'paused', 'concurrency', 'max')
  local isPlain = not (meta[1] or meta[2] or meta[3]) and redis.call('EXISTS', prefix .. 'delayed') == 0
  local id = (isPlain and nextPlainJob or nextOfBullmq)(prefix, token, lockMs, nowMs)
  return id, othersWait(prefix, id)
end

-- A job without its lock is left to BullMQ's search for stalled ones: whoever takes it finds that there is nothing to do.
local function finishJob(prefix, id)
  if redis.call('DEL', prefix .. id .. ':lock') == 0 then return end
  redis.call('SREM', prefix .. 'stalled', id)
  if redis.call('LREM', prefix .. 'active', '-1', id) > 0 then redis.call('DEL', prefix .. id) end
end
