--- @include add
--- @include take

-- The channel and the request of a worker that listens, which stands no longer. One that has died listens to no channel; of one that is out of
-- reach Redis does not know that for minutes, but it has no heartbeat: a run of its would be the sweeper's at once.
local function standingRequest(standing)
  while true do
    local channel, packed = unpack(redis.call('HRANDFIELD', standing, 1, 'WITHVALUES'))
    if not channel then return nil end
    redis.call('HDEL', standing, channel)
    local request = cmsgpack.unpack(packed)
    local isThere = redis.call('PUBSUB', 'NUMSUB', channel)[2] > 0 and redis.call('EXISTS', request[1][10]) == 1
    if isThere then return channel, request end
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
