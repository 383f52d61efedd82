-- A worker takes a queued run: QUEUED → PREPARING, and on to STARTING when its image is ready; or the run's time is over.
--
-- KEYS[1] record
-- KEYS[2] events
-- KEYS[3] inbox
-- KEYS[4] input taken
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- KEYS[8] runs of the worker
-- KEYS[9] all workers
-- ARGV run, attempt, token of this claim, worker, placement, event of PREPARING, image digest ('' to stop at PREPARING), event of STARTING,
--      verdict and event of EXPIRED_IN_QUEUE, now ms
-- Result: {spec, limits, submitted ms} | nil
--- @include end
--- @include fence

local run, attempt, token = ARGV[1], ARGV[2], ARGV[3]
local field = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'token', 'deadline', 'spec', 'limits', 'submitted')
local state = field[1]
if field[2] ~= attempt then return nil end
-- Sent again after a lost answer.
if state ~= 'QUEUED' and field[3] ~= token then return nil end

if state == 'QUEUED' then
  local now = redis.call('TIME')
  if field[4] and tonumber(field[4]) < now[1] * 1000 + math.floor(now[2] / 1000) then
    endRun(run, state, 'system', ARGV[9], ARGV[10], ARGV[11])
    return nil
  end
  redis.call('HSET', KEYS[1], 'token', token, 'worker', KEYS[8], 'placement', ARGV[5])
  redis.call('SADD', KEYS[8], run)
  redis.call('SADD', KEYS[9], ARGV[4])
  redis.call('ZREM', KEYS[6], run)
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[6])
  if ARGV[7] == '' then
    move(run, state, 'PREPARING')
  else
    move(run, state, 'STARTING')
    redis.call('HSET', KEYS[1], 'image', ARGV[7])
    redis.call('XADD', KEYS[2], '*', 'e', ARGV[8])
  end
end
return { field[5], field[6], field[7] }
