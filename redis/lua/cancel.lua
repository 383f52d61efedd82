-- The client wants a run to end: a queued one ends here and now, another one's worker is told.
--
-- KEYS[1] record
-- KEYS[2] events
-- KEYS[3] inbox
-- KEYS[4] input taken
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- ARGV run, verdict and event for a queued run, now ms
-- Result: {'ended', queue, attempt} here and now | {'told'} | {'over'} it had ended before | {'gone'}
--- @include end

local field = redis.call('HMGET', KEYS[1], 'state', 'cancel', 'queue', 'attempt')
local state = field[1]
if not state then return { 'gone' } end
if state == 'ENDED' then return { 'over' } end
if state == 'QUEUED' then
  endRun(ARGV[1], state, 'system', ARGV[2], ARGV[3], ARGV[4])
  return { 'ended', field[3], field[4] }
end
if not field[2] then
  redis.call('HSET', KEYS[1], 'cancel', 1)
  redis.call('XADD', KEYS[3], '*', 'c', '1')
end
return { 'told' }
