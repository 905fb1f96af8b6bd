-- Makes sure that what is kept is from this very server since it was started, and that nothing was missed. KEYS: the
-- changes. ARGV: an epoch in case a new one begins, the channel, the message that anything may have changed, 1 if a new one
-- must begin, the milliseconds of the changes. Gives 1 if a new one has begun.
local changes = KEYS[1]

-- A server that starts again with what it had written to disk, or a copy that takes over, may lack the latest changes.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
if ARGV[4] ~= '1' and redis.call('HGET', changes, 'run') == run then
  return 0
end
redis.call('DEL', changes)
local made = redis.pcall('HSET', changes, 'epoch', ARGV[1], 'clock', '0', 'run', run)
if type(made) ~= 'table' then
  redis.call('PEXPIRE', changes, ARGV[5])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
