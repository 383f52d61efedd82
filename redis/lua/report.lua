-- What an attempt reports, in this order: that the program runs, events, its end. A short run is one report.
--
-- KEYS[1] record
-- KEYS[2] events
-- KEYS[3] inbox
-- KEYS[4] input taken
-- KEYS[5] prefix of the sets by state
-- KEYS[6] start deadlines
-- KEYS[7] retention
-- KEYS[8] ... those of take.lua, if the worker asks for its next job too
-- ARGV run, attempt, now ms, event of RUNNING ('' if not to be announced), verdict ('' if none), event of the verdict, its receipt
--      ('' if none), prefix of BullMQ's queues, how many words of take.lua follow (0 or all), these, then for each event four: '1' or '2' for output of that stream, 't' for Truncated, '' else; offset; length; event
-- Result: 1 | 0 fenced off; with the words of take.lua a list: this, and its result
--- @include end
--- @include fence
--- @include queue
--- @include take

local run = ARGV[1]
local asked = tonumber(ARGV[9])
local firstEvent = 10 + asked

-- What it says of the run has come before: the job that ends makes room for the next.
local function reported(result)
  if asked == 0 then return result end
  local request = { { unpack(KEYS, 8) }, { unpack(ARGV, 12, firstEvent - 1) } }
  return { result, unpack(ask(request, ARGV[10], ARGV[11])) }
end

local state, out1, out2, truncated, credential, queue = fence(ARGV[2], 'out1', 'out2', 'truncated', 'credential', 'queue')
if not state then return reported(0) end
if state == 'SEALED' then return reported(1) end
if ARGV[4] ~= '' and state == 'PREPARING' then return redis.error_reply('STATE ' .. run .. ' cannot run before it is starting') end

-- Looked at before anything is written: an output event that is recorded already is dropped, and one that leaves a gap refuses the report.
local next = { ['1'] = tonumber(out1 or 0), ['2'] = tonumber(out2 or 0) }
local fresh = {}
for i = firstEvent, #ARGV, 4 do
  local kind = ARGV[i]
  if next[kind] then
    local offset, length = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    if offset == next[kind] then
      next[kind] = offset + length
      fresh[#fresh + 1] = ARGV[i + 3]
    elseif offset + length > next[kind] then
      return redis.error_reply('OFFSET ' .. run .. ' has ' .. next[kind] .. ' bytes of stream ' .. kind .. ', not ' .. offset)
    end
  elseif kind ~= 't' or not truncated then
    truncated = truncated or kind == 't'
    fresh[#fresh + 1] = ARGV[i + 3]
  end
end

-- One write of the record, and none of a state that nobody can see.
local written = {}
local function write(name, value) written[#written + 1], written[#written + 2] = name, value end
if ARGV[4] ~= '' and state == 'STARTING' then
  write('started', ARGV[3])
  if ARGV[5] == '' then
    move(run, state, 'RUNNING')
    state = 'RUNNING'
  end
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[4])
  if credential == 'running' then redis.call('UNLINK', KEYS[1] .. ':credential') end
end
if #fresh > 0 then
  write('out1', next['1'])
  write('out2', next['2'])
  if truncated then write('truncated', 1) end
  for i = 1, #fresh do redis.call('XADD', KEYS[2], '*', 'e', fresh[i]) end
end
if ARGV[7] ~= '' then write('receipt', ARGV[7]) end
if ARGV[5] ~= '' then
  endRun(run, state, 'attempt', ARGV[5], ARGV[6], ARGV[3], unpack(written))
  finishJob(ARGV[8] .. queue .. ':', run .. '-' .. ARGV[2])
elseif #written > 0 then
  redis.call('HSET', KEYS[1], unpack(written))
end
return reported(1)
