-- Looks for an answer. KEYS: the changes, the slot. ARGV: the answer's key, an epoch in case there is none, what marks the
-- slot while the caller loads, for how many milliseconds that holds, for how many milliseconds changes are kept.
-- Gives {1, places, body, milliseconds left} for an answer that is true; else {0, epoch, moment, 1 if the caller loads for
-- all}, {2, epoch, moment, 0} if somebody else does, or {3, '', '', 0} where nothing can be kept.
local changes, slot, key = KEYS[1], KEYS[2], ARGV[1]

local now = redis.call('HMGET', changes, 'epoch', 'clock')
local epoch, moment = now[1], now[2] or '0'
if not epoch then
  -- Changes were lost, so nothing from before can be known to be true.
  local made = redis.pcall('HSET', changes, 'epoch', ARGV[2], 'clock', '0')
  if type(made) == 'table' and made.err then
    return {3, '', '', 0}
  end
  redis.call('PEXPIRE', changes, ARGV[5])
  epoch = ARGV[2]
end

local found = redis.call('GET', slot)
if found then
  local in_epoch, loaded, places, length, at = string.match(found, '^E(%x+) (%d+) ([%d,]*) (%d+)\n()')
  if in_epoch == epoch and string.sub(found, at, at + length - 1) == key then
    local fields, changed = {}, false
    for place in string.gmatch(places, '%d+') do
      fields[#fields + 1] = place
    end
    if #fields > 0 then
      for _, moment_of_change in ipairs(redis.call('HMGET', changes, unpack(fields))) do
        changed = changed or (moment_of_change and tonumber(moment_of_change) > tonumber(loaded))
      end
    end
    if not changed then
      return {1, places, string.sub(found, at + length), redis.call('PTTL', slot)}
    end
  end
  local loading = string.match(found, '^L%x+ (.*)$')
  if loading == key then
    return {2, epoch, moment, 0}
  elseif loading then
    -- Somebody loads another answer that has this slot: theirs will be kept.
    return {0, epoch, moment, 0}
  end
end

local marked = redis.pcall('SET', slot, ARGV[3], 'PX', ARGV[4])
if marked.err then
  return {0, epoch, moment, 0}
end
return {0, epoch, moment, 1}
