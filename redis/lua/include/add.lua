-- BullMQ's own scripts as functions, so that a job and what belongs to it are one write. `first` are the places of BullMQ's nine keys
-- and of the name of its script, which three arguments follow.
local function addStandardJob(KEYS, ARGV)
  --- @bullmq addStandardJob-9
end

local function addPrioritizedJob(KEYS, ARGV)
  --- @bullmq addPrioritizedJob-9
end

local function addJob(firstKey, firstArgument)
  local keys, arguments = {}, {}
  for i = 0, 8 do keys[i + 1] = KEYS[firstKey + i] end
  for i = 1, 3 do arguments[i] = ARGV[firstArgument + i] end
  local add = ARGV[firstArgument] == 'addStandardJob' and addStandardJob or addPrioritizedJob
  add(keys, arguments)
end
