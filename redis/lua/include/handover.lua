--- @include take

-- Answers a request that stands with the job that was just added, or one that comes before it. A worker that has died listens to no channel.
local function handOver(standing, now, time)
  while true do
    local worker, packed = unpack(redis.call('HRANDFIELD', standing, 1, 'WITHVALUES'))
    if not worker then return end
    redis.call('HDEL', standing, worker)
    local request = cmsgpack.unpack(packed)
    local channel, token = request[1][9], request[2][1]
    if redis.call('PUBSUB', 'NUMSUB', channel)[2] > 0 then
      local result = answer(request, now, time)
      result[1] = token
      for i, word in ipairs(result) do result[i] = struct.pack('>I4', #word) .. word end
      redis.call('PUBLISH', channel, table.concat(result))
      return
    end
  end
end
