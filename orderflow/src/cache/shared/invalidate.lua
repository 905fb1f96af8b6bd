-- Says that something has changed. KEYS: the changes. ARGV: the channel, the message for the other instances, the places
-- with commas between.
local changes = KEYS[1]

-- Without an epoch nothing is kept that could be out of date.
if redis.call('HEXISTS', changes, 'epoch') == 1 then
  local moment = redis.pcall('HINCRBY', changes, 'clock', 1)
  local full = type(moment) == 'table'
  for place in string.gmatch(ARGV[3], '%d+') do
    local set = full or redis.pcall('HSET', changes, place, moment)
    full = full or type(set) == 'table'
  end
  if full then
    -- No memory to note it in. Without the changes nothing is true any more, which needs no memory.
    redis.call('DEL', changes)
  end
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
