-- Keeps an answer, unless something that it was made from has changed since its loading began. KEYS: the changes, the slot.
-- ARGV: the epoch and moment when loading began, the places with commas between, what the slot was marked with, the value,
-- its milliseconds, the milliseconds of the changes. Gives 1 if it is kept.
local changes, slot = KEYS[1], KEYS[2]

local function release()
  if redis.call('GET', slot) == ARGV[4] then
    redis.call('DEL', slot)
  end
end

local current = redis.call('HGET', changes, 'epoch') == ARGV[1]
local fields = {}
for place in string.gmatch(ARGV[3], '%d+') do
  fields[#fields + 1] = place
end
if current and #fields > 0 then
  for _, moment_of_change in ipairs(redis.call('HMGET', changes, unpack(fields))) do
    current = current and not (moment_of_change and tonumber(moment_of_change) > tonumber(ARGV[2]))
  end
end
if not current then
  release()
  return 0
end
local kept = redis.pcall('SET', slot, ARGV[5], 'PX', ARGV[6])
if kept.err then
  release()
  return kept
end
-- Changes are kept longer than whatever they may be asked about.
redis.call('PEXPIRE', changes, ARGV[7])
return 1
