-- PREPARING → STARTING: from here on the program may have started. Of one that is STARTING already, the image is set right.
--
-- KEYS[1] record
-- KEYS[2] events
-- KEYS[3] inbox
-- KEYS[4] input taken
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- ARGV run, attempt, image digest, event
-- Result: 1 | 0 fenced off
--- @include fence

local state = fence(ARGV[2])
if not state then return 0 end
if state == 'PREPARING' then
  move(ARGV[1], state, 'STARTING')
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[4])
  state = 'STARTING'
end
if state == 'STARTING' then redis.call('HSET', KEYS[1], 'image', ARGV[3]) end
return 1
