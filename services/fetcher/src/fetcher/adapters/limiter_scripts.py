"""The limiter's decisions, each one atomic step in Redis by Redis's own clock (milliseconds)."""

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window, flight, day, hold, unseen = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
"""

_DAY = """
local HOUR, DAY_HOURS = 3600000, 24
local hour = math.floor(now / HOUR)
local spent, oldest = 0, hour
local counts = redis.call('HGETALL', day)
for i = 1, #counts, 2 do
  local counted = tonumber(counts[i])
  if counted < hour - DAY_HOURS then
    redis.call('HDEL', day, counts[i])
  else
    spent = spent + tonumber(counts[i + 1])
    if counted < oldest then oldest = counted end
  end
end
"""

ACQUIRE = (
    _NOW
    + _DAY
    + """
local id, window_ms, per_minute = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local concurrent, per_day, lease_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local held = redis.call('PTTL', hold)
if held > 0 then return {'tenant_held', held} end
if spent >= per_day then return {'day_limit', (oldest + DAY_HOURS + 1) * HOUR - now} end
if spent + tonumber(redis.call('GET', unseen) or 0) >= per_day then
  return {'day_limit', math.max(1, redis.call('PTTL', unseen))}
end

-- A holder that was lost ended its call when its lease did.
local lapsed = redis.call('ZRANGEBYSCORE', flight, '-inf', now, 'WITHSCORES')
for i = 1, #lapsed, 2 do
  redis.call('ZADD', window, lapsed[i + 1], lapsed[i])
  redis.call('ZREM', flight, lapsed[i])
end
redis.call('ZREMRANGEBYSCORE', window, '-inf', now - window_ms)

local flying = redis.call('ZCARD', flight)
if flying >= concurrent then return {'call_slots_taken', 50} end
if redis.call('ZCARD', window) + flying >= per_minute then
  local first = redis.call('ZRANGE', window, 0, 0, 'WITHSCORES')
  if #first == 0 then return {'minute_limit', 50} end
  return {'minute_limit', math.max(1, first[2] + window_ms - now + 1)}
end

redis.call('ZADD', flight, now + lease_ms, id)
redis.call('PEXPIRE', flight, lease_ms + window_ms)
redis.call('PEXPIRE', window, lease_ms + window_ms)
redis.call('HINCRBY', day, hour, 1)
redis.call('PEXPIRE', day, (DAY_HOURS + 2) * HOUR)
return {'', 0}
"""
)
"""KEYS: window, flight, day, hold, unseen. ARGV: call id, window, calls a window, calls in flight, calls a day, lease.

Answers {refusal, wait}; an empty refusal is a grant. ``flight`` holds calls by the end of their lease, ``window`` ended
ones by their end, ``day`` calls by the hour they were granted in: a bucket is forgotten only when all of its calls are
more than a day old. ``unseen`` is how many calls more Xero counts for its day.
"""

RELEASE = (
    _NOW
    + """
redis.call('ZREM', flight, ARGV[1])
redis.call('ZADD', window, now, ARGV[1])
if redis.call('PTTL', window) < tonumber(ARGV[2]) then redis.call('PEXPIRE', window, ARGV[2]) end
return 1
"""
)
"""KEYS as above. ARGV: call id, window."""

HOLD = (
    _NOW
    + """
if redis.call('PTTL', hold) < tonumber(ARGV[1]) then redis.call('SET', hold, '1', 'PX', ARGV[1]) end
if ARGV[2] == '1' then redis.call('DEL', day, unseen) end
return 1
"""
)
"""KEYS as above. ARGV: for how long, whether the day is spent. A longer hold stays.

When a spent day ends, Xero knows, not we: the count begins anew behind the hold, and the next answer puts it right.
"""

DAY_REMAINING = (
    _NOW
    + _DAY
    + """
-- The other calls in flight are in our count and perhaps not yet in Xero's.
local others = math.max(0, redis.call('ZCARD', flight) - 1)
local missing = tonumber(ARGV[2]) - tonumber(ARGV[1]) - spent + others
if missing > 0 then
  local held = redis.call('PTTL', hold)
  redis.call('SET', unseen, missing, 'PX', held > 0 and held or HOUR)
else
  redis.call('DEL', unseen)
end
return 1
"""
)
"""KEYS as above. ARGV: calls left by Xero's count, calls a day by ours.

Xero does not say when its day ends. So what it counts more than we is forgotten when a hold ends, else after an hour:
the next call then learns whether it still holds.
"""
