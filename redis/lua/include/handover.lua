--- @include add
--- @include take

-- The request of a worker that listens, which stands no longer. One that has died listens to no channel.
local function standingRequest(standing)
  while true do
    local worker, packed = unpack(redis.call('HRANDFIELD', standing, 1, 'WITHVALUES'))
    if not worker then return nil end
    redis.call('HDEL', standing, worker)
    local request = cmsgpack.unpack(packed)
    if redis.call('PUBSUB', 'NUMSUB', request[1][9])[2] > 0 then return request end
  end
end

-- Adds a job (add.lua has its words), and answers a request that stands with it, or with one that comes before it.
local function addAndHandOver(first, standing, now, time)
  local request = standingRequest(standing)
  if not request then return addJob(first, now) end
  local channel, token, lockMs = request[1][9], request[2][1], request[2][3]
  local taken = addTaken(first, token, lockMs, now)
  if not taken then addJob(first, now) end
  local result = answer(request, now, time, taken)
  result[1] = token
  for i, word in ipairs(result) do result[i] = struct.pack('>I4', #word) .. word end
  redis.call('PUBLISH', channel, table.concat(result))
end
