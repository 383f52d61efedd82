-- Ends a run: verdict, seal, last event, and the expiry of everything it has. `seal` is 'attempt' when its own attempt ends it, 'system'
-- when control or the clock does; an attempt that repeats its end after a lost answer finds its own seal.
local function endRun(run, state, seal, verdict, event, endedMs, ...)
  local record = KEYS[1]
  local field = redis.call('HMGET', record, 'retention', 'idempotency', 'worker', 'stdin')
  local retention = field[1]
  redis.call('HSET', record, 'state', 'ENDED', 'sealed', seal, 'verdict', verdict, 'ended', endedMs, ...)
  redis.call('ZREM', KEYS[5] .. state, run)
  redis.call('ZADD', KEYS[5] .. 'ENDED', 0, run)
  if state == 'QUEUED' then redis.call('ZREM', KEYS[6], run) end
  redis.call('XADD', KEYS[2], '*', 'e', event, 'last', '1')
  -- Wakes whoever waits for room in the inbox: the answer to the next try is that the run has ended.
  if field[4] then redis.call('XADD', KEYS[4], 'MAXLEN', 1, '*', 'n', '0') end
  if field[3] then redis.call('SREM', field[3], run) end
  redis.call('UNLINK', KEYS[3], record .. ':credential')
  for _, key in ipairs({ record, KEYS[2], KEYS[4] }) do redis.call('PEXPIRE', key, retention) end
  if field[2] then redis.call('PEXPIRE', field[2], retention) end
  local now = redis.call('TIME')
  redis.call('ZADD', KEYS[7], now[1] * 1000 + math.floor(now[2] / 1000) + retention, run)
end
