-- BullMQ's own scripts as functions of a queue's key prefix, so that what happens to a job and to its run is one write.
local function queueKeys(prefix, names)
  local keys = {}
  for i, name in ipairs(names) do keys[i] = prefix .. name end
  return keys
end

-- The id of the job that is the worker's now; nil: none waits.
local function nextJob(prefix, token, lockMs, nowMs)
  local function moveToActive(KEYS, ARGV)
    --- @bullmq moveToActive-11
  end
  local names = { 'wait', 'active', 'prioritized', 'events', 'stalled', 'limiter', 'delayed', 'paused', 'meta', 'pc', 'marker' }
  local options = cmsgpack.pack({ token = token, lockDuration = tonumber(lockMs) })
  local job = moveToActive(queueKeys(prefix, names), { prefix, nowMs, options })[2]
  return job ~= 0 and job or nil
end

-- BullMQ marks a queue that may hold jobs, and a worker that waits is woken by the mark: here only as long as there are any.
local function othersWait(prefix)
  if redis.call('LLEN', prefix .. 'wait') > 0 or redis.call('ZCARD', prefix .. 'prioritized') > 0 then return true end
  redis.call('ZREM', prefix .. 'marker', '0')
  return false
end

-- A job without its lock is left to BullMQ's search for stalled ones: whoever takes it finds that there is nothing to do.
local function finishJob(prefix, job, nowMs)
  local function moveToFinished(KEYS, ARGV)
    --- @bullmq moveToFinished-14
  end
  local token = redis.call('GET', prefix .. job .. ':lock')
  if not token then return end
  local names = { 'wait', 'active', 'prioritized', 'events', 'stalled', 'limiter', 'delayed', 'paused', 'meta', 'pc', 'completed', job,
    'metrics:completed', 'marker' }
  local options = cmsgpack.pack({ token = token, keepJobs = { count = 0 }, attempts = 1, maxMetricsSize = '' })
  moveToFinished(queueKeys(prefix, names), { job, nowMs, 'returnvalue', 'null', 'completed', '0', prefix, options, '' })
end
