-- The state in which an attempt may write: its own number and not in the queue. 'SEALED' when the attempt itself has ended the run: then it
-- only repeats what was done. False: the run is gone, ended by another, or has another attempt. What further fields hold follows it.
local function fence(attempt, ...)
  local field = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'sealed', ...)
  if field[2] ~= attempt or field[1] == 'QUEUED' then return false end
  if field[1] ~= 'ENDED' then return field[1], unpack(field, 4) end
  return field[3] == 'attempt' and 'SEALED'
end

-- With further fields of the record, and their values.
local function move(run, from, to, ...)
  redis.call('HSET', KEYS[1], 'state', to, ...)
  redis.call('ZREM', KEYS[5] .. from, run)
  redis.call('ZADD', KEYS[5] .. to, 0, run)
end
