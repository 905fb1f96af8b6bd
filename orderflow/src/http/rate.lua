-- Counts a request of a client, by the generic cell rate algorithm. KEYS: the client. ARGV: microseconds between two
-- requests in the long run, how many may come at once. Gives 0, or the microseconds until the client may ask again.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])

-- When the client would have used up what it is allowed.
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
-- It is never later than this, unless the server's clock was set back.
due = math.min(due, now + interval * burst)
local wait = due - interval * (burst - 1) - now
if wait > 0 then
  return math.ceil(wait)
end
due = due + interval
redis.call('SET', KEYS[1], string.format('%.17g', due), 'PX', math.ceil((due - now) / 1000))
return 0
