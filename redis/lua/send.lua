-- The client sends something to its run. Data carries its offset, so that a part sent twice is recorded once.
--
-- KEYS[1] record
-- KEYS[2] inbox
-- KEYS[3] input taken
-- ARGV kind ('d' data, 'e' end of input, 's' signal, 'g' signal to the group), data or signal number, offset ('' to follow what is
--      recorded), '1' if data that is recorded already means that another client feeds the run, most bytes and most messages not yet taken
-- Result: {word, bytes recorded so far, last entry of `input taken`}; word: 'ok' | 'full' | 'gap' | 'contended' | 'closed' after the end of
--      input | 'detached' not submitted with stdin_attach | 'ended' the run | 'gone'

local kind, data = ARGV[1], ARGV[2]
local field = redis.call('HMGET', KEYS[1], 'state', 'stdin', 'sent', 'taken', 'closed')
local sent = tonumber(field[3] or 0)
local function answer(word)
  local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
  return { word, string.format('%.0f', sent), last and last[1] or '0-0' }
end

if not field[1] then return answer('gone') end
if field[1] == 'ENDED' then return answer('ended') end
if (kind == 'd' or kind == 'e') and not field[2] then return answer('detached') end
if kind == 'e' and field[5] then return answer('ok') end
if kind == 'd' then
  local offset = tonumber(ARGV[3]) or sent
  if offset > sent then return answer('gap') end
  if offset < sent and ARGV[4] == '1' then return answer('contended') end
  if offset < sent then data = data:sub(sent - offset + 1) end
  if data == '' then return answer('ok') end
  if field[5] then return answer('closed') end
  if sent + #data - tonumber(field[4] or 0) > tonumber(ARGV[5]) then return answer('full') end
end
-- The end of input, sent once, needs no room.
if kind ~= 'e' and redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[6]) then return answer('full') end

if kind == 'd' then
  redis.call('XADD', KEYS[2], '*', 'd', data, 'o', string.format('%.0f', sent))
  sent = sent + #data
  redis.call('HSET', KEYS[1], 'sent', string.format('%.0f', sent))
else
  redis.call('XADD', KEYS[2], '*', kind, data)
  if kind == 'e' then redis.call('HSET', KEYS[1], 'closed', 1) end
end
return answer('ok')
