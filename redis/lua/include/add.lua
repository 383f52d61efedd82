-- Adds a job as BullMQ's addStandardJob and addPrioritizedJob do, in the same write as what belongs to it; queue.test.ts compares. One that is
-- there already stays as it is. `first`: the place of the prefix of BullMQ's keys; the job's id, data, options and priority follow.
local function addJob(first, nowMs)
  local prefix, id, data, options, priority = unpack(ARGV, first, first + 4)
  priority = tonumber(priority)
  redis.call('INCR', prefix .. 'id')
  if redis.call('EXISTS', prefix .. id) == 1 then return end
  redis.call('HSET', prefix .. id, 'name', 'run', 'data', data, 'opts', options, 'timestamp', nowMs, 'delay', 0, 'priority', priority)
  if priority > 0 then
    local order = redis.call('INCR', prefix .. 'pc') % 0x100000000
    redis.call('ZADD', prefix .. 'prioritized', string.format('%.0f', priority * 0x100000000 + order), id)
  else
    redis.call('LPUSH', prefix .. 'wait', id)
  end
  local meta = redis.call('HMGET', prefix .. 'meta', 'paused', 'concurrency')
  local isFull = meta[2] and redis.call('LLEN', prefix .. 'active') >= tonumber(meta[2])
  if not (meta[1] or isFull) then redis.call('ZADD', prefix .. 'marker', 0, '0') end
end
