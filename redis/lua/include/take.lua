-- What a worker asks for: the next job of a queue, and with it the job's run: QUEUED → PREPARING, and → STARTING where the worker has the
-- image and the room, so that nothing is left to prepare. A job whose run is gone, has ended, or has waited too long is dropped.
-- A worker that finds no job leaves its request standing, and the script that adds the next one answers it.

-- `request`: the keys and words of take.lua from the first and the third on. `now` and `time`: its first and second word.
-- `added`: a job that is the worker's already (false: none). Result: as that of take.lua.
local function answer(request, now, time, added)
  local keys, words = request[1], request[2]
  local worker, workers, lastTake, records = keys[2], keys[3], keys[1], keys[4]
  local token, lockMs, freeCpu, freeMemory, images = words[1], words[2], tonumber(words[3]), tonumber(words[4]), 6
  local always = cmsgpack.unpack(words[5])
  local prefix, workerId, placement, verdict, expired = unpack(always, 1, 5)
  local preparing, starting = 5, 5 + (#always - 5) / 2
  -- Of the run, once it is known; what is included below means these.
  local KEYS = {}
--- @include end
--- @include fence
--- @include queue

  -- So many pointless jobs are dropped in one go.
  local patience = lockMs == '0' and 0 or 100

  -- The digest of the run's image, if it can start at once.
  local function readyImage(reference, cpu, memory)
    if (reference or '') == '' or tonumber(cpu) > freeCpu or tonumber(memory) > freeMemory then return nil end
    for i = images, #words, 2 do
      if words[i] == reference then return words[i + 1] end
    end
  end

  local function claim(run, attempt)
    local record = records .. run
    KEYS[1], KEYS[2], KEYS[3], KEYS[4] = record, record .. ':events', record .. ':inbox', record .. ':taken'
    KEYS[5], KEYS[6], KEYS[7] = keys[5], keys[6], keys[7]
    local field = redis.call('HMGET', record, 'state', 'attempt', 'token', 'deadline', 'spec', 'limits', 'submitted', 'image', 'reference',
      'cpu', 'memory')
    if field[2] ~= attempt then return nil end
    if field[1] == 'QUEUED' then
      local clock = redis.call('TIME')
      if field[4] and tonumber(field[4]) < clock[1] * 1000 + math.floor(clock[2] / 1000) then
        endRun(run, 'QUEUED', 'system', verdict, time .. expired, now)
        return nil
      end
      redis.call('SADD', worker, run)
      redis.call('SADD', workers, workerId)
      if field[4] then redis.call('ZREM', KEYS[6], run) end
      redis.call('XADD', KEYS[2], '*', 'e', time .. always[preparing + tonumber(attempt)])
      local image = readyImage(field[9], field[10], field[11])
      if image then redis.call('XADD', KEYS[2], '*', 'e', time .. always[starting + tonumber(attempt)]) end
      local written = { 'token', token, 'worker', worker, 'placement', placement }
      if image then written[7], written[8] = 'image', image end
      move(run, 'QUEUED', image and 'STARTING' or 'PREPARING', unpack(written))
      field[8] = image
    elseif field[3] ~= token or field[1] == 'ENDED' then
      return nil
    end
    return { run, attempt, field[5], field[6], field[7], field[8] or '' }
  end

  local function take(job, others)
    local run, attempt = job:match('^(.+)%-(%d+)$')
    local claimed = run and claim(run, attempt)
    if not claimed then return finishJob(prefix, job) end
    -- For as long as Redis may be away.
    redis.call('SET', lastTake, token .. ' ' .. job, 'PX', 86400000)
    table.insert(claimed, 1, others and '1' or '0')
    return claimed
  end

  local taken = added and take(added, false)
  if taken then return taken end

  -- Sent again after a lost answer, or it was answered while it stood.
  local last = redis.call('GET', lastTake)
  local lastToken, lastJob = string.match(last or '', '^(%S+) (%S+)$')
  if lastToken == token then return take(lastJob, othersWait(prefix, false)) or { '1' } end

  for _ = 1, patience do
    local job, others = nextJob(prefix, token, lockMs, now)
    if not job then return { others and '1' or '0' } end
    taken = take(job, others)
    if taken then return taken end
  end
  return { '1' }
end

-- The request stands where it found nothing. On no disk: a Redis that starts again finds the jobs that were added meanwhile marked, and the
-- worker is woken. That it stands no longer is written: a rewrite of the file may have caught it.
local function ask(request, now, time)
  local standing, channel = request[1][8], request[1][9]
  local result = answer(request, now, time, false)
  if result[1] == '0' and not result[2] then
    redis.set_repl(redis.REPL_NONE)
    redis.call('HSET', standing, channel, cmsgpack.pack(request))
    redis.set_repl(redis.REPL_ALL)
  else
    redis.call('HDEL', standing, channel)
  end
  return result
end
