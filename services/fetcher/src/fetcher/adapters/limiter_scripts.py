"""The limiter's decisions, each one atomic step in Redis by Redis's own clock (milliseconds)."""

SHARED_PREFIX = "duebell:fetcher:calls:"
PARTS = ("window", "flight", "day", "hold", "told", "sure", "figures")
"""A tenant's keys, in the scripts' order. ``flight`` holds calls by the end of their lease, ``window`` ended ones by
their end, ``day`` calls by the hour they were granted in, ``hold`` why the tenant waits, ``told`` what is left of the
day by Xero's word, ``sure`` that Xero has told of the minute, ``figures`` what the tenant costs, by day."""
SHARED = ("epoch", "everybody", "app", "tenants")
"""The keys of all tenants together: since when Redis counts, why all wait, the app's minute, who called lately."""

_BEGIN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window, flight, day, hold, told, sure, figures = unpack(KEYS, 1, 7)
local epoch_key, everybody, app, tenants = unpack(KEYS, 8, 11)
local id, epoch_known, window_ms, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local HOUR, DAY_HOURS, DAY, WORD_HOLDS = 3600000, 24, 86400000, 3300000
local today = math.floor(now / DAY)
"""

_EPOCH = """
-- Who remembers another epoch has made calls that are not counted any more: all wait until Xero has forgotten them.
local epoch = redis.call('GET', epoch_key)
if not epoch then epoch = string.format('%.0f', now) end
redis.call('SET', epoch_key, epoch, 'PX', 2 * DAY)
local function hush()
  local rest = tonumber(epoch) + window_ms - now
  if rest > 0 and redis.call('PTTL', everybody) < rest then redis.call('SET', everybody, 'lost', 'PX', rest) end
end
if epoch_known ~= '' and epoch_known ~= epoch then hush() end
"""

_DAY = """
local spent, oldest = 0, math.floor(now / HOUR)
local counts = redis.call('HGETALL', day)
for i = 1, #counts, 2 do
  local counted = tonumber(counts[i])
  if counted < math.floor(now / HOUR) - DAY_HOURS then
    redis.call('HDEL', day, counts[i])
  else
    spent = spent + tonumber(counts[i + 1])
    if counted < oldest then oldest = counted end
  end
end
local told_left = tonumber(redis.call('HGET', told, 'left') or nil)
local left = told_left or per_day - spent
-- Xero does not say when its day ends: its word is put to the test by whoever asks for a call when it is old.
local test_in = told_left and math.max(0, tonumber(redis.call('HGET', told, 'at')) + WORD_HOLDS - now)
"""

_APP = """
-- One number a second and their sum: the same few steps however many calls there are.
local APP_SECONDS = math.ceil(window_ms / 1000) + 4
local second = math.floor(now / 1000)
local app_total = tonumber(redis.call('HGET', app, 'total') or 0)
local tail = tonumber(redis.call('HGET', app, 'tail') or second)
if second - tail > 2 * APP_SECONDS then
  redis.call('DEL', app)
  app_total, tail = 0, second
end
while tail <= second - APP_SECONDS do
  app_total = app_total - tonumber(redis.call('HGET', app, tail) or 0)
  redis.call('HDEL', app, tail)
  tail = tail + 1
end
local function app_add(calls)
  app_total = app_total + calls
  redis.call('HINCRBY', app, second, calls)
  redis.call('HSET', app, 'total', app_total, 'tail', tail)
  redis.call('PEXPIRE', app, 2000 * APP_SECONDS)
end
redis.call('HSET', app, 'total', app_total, 'tail', tail)
"""

ACQUIRE = (
    _BEGIN
    + """
local per_minute, concurrent, per_day = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local kept, app_per_minute, purpose, tenant = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], ARGV[11]
"""
    + _EPOCH
    + """
local held = redis.call('PTTL', everybody)
if held > 0 then return {redis.call('GET', everybody) == 'lost' and 'counts_lost' or 'app_held', held, epoch} end
held = redis.call('PTTL', hold)
if held > 0 then return {redis.call('GET', hold) == 'day' and 'tenant_parked' or 'tenant_held', held, epoch} end
"""
    + _DAY
    + """
if left <= kept and test_in ~= 0 then
  return {left <= 0 and 'day_limit' or 'day_reserve', test_in or (oldest + DAY_HOURS + 1) * HOUR - now, epoch}
end

-- What is later than it can be was written before Redis's clock went back: it counts for as long as any, from now.
local function turn_back(key, latest)
  local ahead = redis.call('ZRANGEBYSCORE', key, '(' .. string.format('%.0f', latest), '+inf')
  for _, member in ipairs(ahead) do redis.call('ZADD', key, latest, member) end
end
turn_back(window, now)
turn_back(flight, now + lease_ms)

-- A holder that was lost ended its call when its lease did.
local lapsed = redis.call('ZRANGEBYSCORE', flight, '-inf', now, 'WITHSCORES')
for i = 1, #lapsed, 2 do
  redis.call('ZADD', window, lapsed[i + 1], lapsed[i])
  redis.call('ZREM', flight, lapsed[i])
end
redis.call('ZREMRANGEBYSCORE', window, '-inf', now - window_ms - lease_ms)

local flying = redis.call('ZCARD', flight)
local young = now - tonumber(epoch) < 2 * window_ms and redis.call('EXISTS', sure) == 0
if flying >= (young and 1 or concurrent) then return {'call_slots_taken', 50, epoch} end
local after = '(' .. string.format('%.0f', now - window_ms)
local excess = redis.call('ZCOUNT', window, after, '+inf') + flying - per_minute
if excess >= 0 then
  local first = redis.call('ZRANGEBYSCORE', window, after, '+inf', 'WITHSCORES', 'LIMIT', excess, 1)
  if #first == 0 then return {'minute_limit', 50, epoch} end
  return {'minute_limit', math.max(1, first[2] + window_ms - now + 1), epoch}
end
"""
    + _APP
    + """
if app_total >= app_per_minute then return {'app_limit', math.max(50, (tail + APP_SECONDS) * 1000 - now), epoch} end

app_add(1)
redis.call('ZADD', flight, now + lease_ms, id)
redis.call('PEXPIRE', flight, lease_ms + window_ms)
redis.call('PEXPIRE', window, 2 * lease_ms + window_ms)
redis.call('HINCRBY', day, math.floor(now / HOUR), 1)
redis.call('PEXPIRE', day, (DAY_HOURS + 2) * HOUR)
if told_left then
  redis.call('HINCRBY', told, 'left', -1)
  if test_in == 0 then redis.call('HSET', told, 'at', now) end
end
if redis.call('HINCRBY', figures, today .. ':calls:' .. purpose, 1) == 1 then
  local kept_figures = redis.call('HGETALL', figures)
  for i = 1, #kept_figures, 2 do
    if tonumber(string.match(kept_figures[i], '^%d+')) < today - 7 then redis.call('HDEL', figures, kept_figures[i]) end
  end
  redis.call('PEXPIRE', figures, 8 * DAY)
  redis.call('ZREMRANGEBYSCORE', tenants, '-inf', now - 8 * DAY)
end
redis.call('ZADD', tenants, now, tenant)
redis.call('PEXPIRE', tenants, 8 * DAY)
return {'', 0, epoch}
"""
)
"""ARGV: call id, epoch that the caller knows, window, lease, calls a window, calls in flight, calls a day, how many of
them are kept from this purpose, the app's calls a minute, purpose, tenant.

Answers {refusal, wait, epoch}; an empty refusal is a grant. An hour's bucket of the day is forgotten only when all of
its calls are more than a day old. While the epoch is young and Xero has not told of the tenant's minute, one call flies
alone: nobody knows what was called before.
"""

RELEASE = (
    _BEGIN
    + _EPOCH
    + """
local epoch_of_grant, elapsed, endpoint, bytes = ARGV[5], tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
-- Whoever was granted a call stands in one of the two for so long, however often it is given back.
local was_in_flight = redis.call('ZREM', flight, id) == 1
local is_known = was_in_flight or redis.call('ZSCORE', window, id)
if not is_known and epoch_of_grant == epoch and elapsed < window_ms + lease_ms then
  -- Redis has come back without its last moments.
  epoch = string.format('%.0f', now)
  redis.call('SET', epoch_key, epoch, 'PX', 2 * DAY)
  hush()
end
redis.call('ZADD', window, now, id)
redis.call('PEXPIRE', window, 2 * lease_ms + window_ms)
if endpoint ~= '' and was_in_flight then
  redis.call('HINCRBY', figures, today .. ':endpoint:' .. endpoint, 1)
  redis.call('HINCRBY', figures, today .. ':bytes', bytes)
  redis.call('PEXPIRE', figures, 8 * DAY)
end
return epoch
"""
)
"""ARGV: call id, epoch that the caller knows, window, lease, epoch of the grant, milliseconds since it, endpoint, bytes
received. Answers the epoch."""

HOLD = (
    _BEGIN
    + """
local key = ARGV[6] == 'app' and everybody or hold
local rest = redis.call('PTTL', key)
if rest < tonumber(ARGV[5]) then
  redis.call('SET', key, ARGV[6], 'PX', ARGV[5])
elseif ARGV[6] == 'day' then
  -- A spent day is one behind a longer hold, too: nothing of it may be learnt as what is left of the next.
  redis.call('SET', key, 'day', 'PX', rest)
end
if ARGV[6] == 'day' then redis.call('DEL', day, told) end
return 1
"""
)
"""ARGV: the first four unused, for how long, which limit. A longer hold stays; ``app`` holds everybody.

When a spent day ends, Xero knows, not we: the count begins anew behind the hold, and the next answer puts it right.
"""

LEARN = (
    _BEGIN
    + """
local per_minute, per_day, app_per_minute = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local minute_left, day_left, app_left = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local lease_end = tonumber(redis.call('ZSCORE', flight, id) or nil)
local granted = lease_end and lease_end - lease_ms or now
local flying = redis.call('ZCARD', flight)

local fresh = now - granted < 4000

if minute_left then
  if redis.call('PTTL', hold) <= 0 then redis.call('SET', sure, 1, 'PX', 2 * window_ms) end
  -- Calls that ended since this one was granted are in Xero's count, so they are in ours however old the answer is.
  local counted = redis.call('ZCOUNT', window, '(' .. string.format('%.0f', granted - window_ms), '+inf')
  for i = 1, per_minute - minute_left - counted - math.max(1, flying) do
    redis.call('ZADD', window, now, id .. ':' .. i)
  end
  redis.call('PEXPIRE', window, 2 * lease_ms + window_ms)
end

if day_left and day_left > per_day then
  redis.call('DEL', told)
elseif day_left and redis.call('GET', hold) ~= 'day' then
  -- The other calls in flight are perhaps not yet in Xero's count, and an older answer never gives more.
  day_left = math.max(0, day_left - math.max(0, flying - 1))
  local newest = tonumber(redis.call('HGET', told, 'granted') or 0)
  if newest > granted then
    day_left = math.min(day_left, tonumber(redis.call('HGET', told, 'left')))
    granted = newest
  end
  redis.call('HSET', told, 'left', day_left, 'at', now, 'granted', granted)
  redis.call('PEXPIRE', told, (DAY_HOURS + 2) * HOUR)
end
"""
    + _APP
    + """
-- What an old answer counted may have left the app's minute since.
local missing = app_left and fresh and app_per_minute - app_left - app_total or 0
if missing > 0 then app_add(missing) end
return 1
"""
)
"""ARGV: call id, unused, window, lease, calls a window, calls a day, the app's calls a minute, then what Xero says is
left of the three, each empty where it does not say.

What Xero counts more than we do in a minute is entered beside our own calls, and ages as they do: its word never
makes room. For the day its word is law, unless it leaves more than our whole day, which is then the tighter limit.
"""

LEFT = (
    _BEGIN
    + """
local per_day = tonumber(ARGV[5])
"""
    + _DAY
    + """
if redis.call('GET', hold) == 'day' then return {0, 0} end
return {left, test_in == 0 and 1 or 0}
"""
)
"""ARGV: the first four unused, calls a day. Answers what is left of the tenant's day, which may be less than none, and
whether that is an old word of Xero's, which the next call puts to the test.

It holds for five minutes less than the hour after which a reconcile is asked for, so that each of these may test it.
"""
