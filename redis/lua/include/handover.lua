--- @include add
--- @include take

-- The channel and the request of a worker that listens, which stands no longer. One that has died listens to no channel.
local function standingRequest(standing)
  while true do
    local channel, packed = unpack(redis.call('HRANDFIELD', standing, 1, 'WITHVALUES'))
    if not channel then return nil end
    redis.call('HDEL', standing, channel)
    if redis.call('PUBSUB', 'NUMSUB', channel)[2] > 0 then return channel, cmsgpack.unpack(packed) end
  end
end

-- Adds a job (add.lua has its words), and answers a request that stands with it, or with one that comes before it.
local function addAndHandOver(first, standing, now, time)
  local channel, request = standingRequest(standing)
  if not channel then return addJob(first, now) end
  local token, lockMs = request[2][1], request[2][2]
  local taken = addTaken(first, token, lockMs, now)
  if not taken then addJob(first, now) end
  local result = answer(request, now, time, taken)
  result[1] = token
  for i, word in ipairs(result) do result[i] = struct.pack('>I4', #word) .. word end
  redis.call('PUBLISH', channel, table.concat(result))
end
