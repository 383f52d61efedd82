-- Runs whose retention is over leave the indices; record and streams have expired by themselves.
--
-- KEYS[1] all runs
-- KEYS[2] ended runs
-- KEYS[3] retention
-- ARGV most runs at once
-- Result: how many

local now = redis.call('TIME')
local over = redis.call('ZRANGE', KEYS[3], '-inf', now[1] * 1000 + math.floor(now[2] / 1000), 'BYSCORE', 'LIMIT', 0, ARGV[1])
if #over > 0 then
  for i = 1, 3 do redis.call('ZREM', KEYS[i], unpack(over)) end
end
return #over
