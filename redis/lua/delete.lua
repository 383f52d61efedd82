-- Forgets an ended run.
--
-- KEYS[1] record
-- KEYS[2] events
-- KEYS[3] inbox
-- KEYS[4] input taken
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- KEYS[8] all runs
-- ARGV run
-- Result: 'deleted' | 'not-found' | 'not-ended'

local run = ARGV[1]
local field = redis.call('HMGET', KEYS[1], 'state', 'idempotency')
if not field[1] then return 'not-found' end
if field[1] ~= 'ENDED' then return 'not-ended' end
for i = 1, 4 do redis.call('UNLINK', KEYS[i]) end
if field[2] then redis.call('DEL', field[2]) end
redis.call('ZREM', KEYS[5] .. 'ENDED', run)
redis.call('ZREM', KEYS[7], run)
redis.call('ZREM', KEYS[8], run)
return 'deleted'
