-- Takes, keeps or gives back a lease.
--
-- KEYS[1] the lease
-- ARGV holder, how long in ms (0 gives it back)
-- Result: 1 held | 0 another one's

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
