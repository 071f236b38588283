"""What must happen in Redis as a whole or not at all, in Lua.

A session is a hash: `doc` (what its handshake told), `log_level`, `initialized`, a field `s:<uri>` a subscription,
`n:<stream>` with how many events the stream has had, and `bytes` with the size of those that are kept. Its events
are one Redis stream in the order they came. `slipway:sessions` orders the sessions by when they end, to count and
cap them.
"""

from __future__ import annotations

from app.sessions.redis_client import Script

_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

# KEYS: session, index. ARGV: id, ttl in ms, cap, field, value, …
CREATE = Script(
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""
)

# KEYS: session. ARGV: invalidation channel, its message, number of fields to set, field, value, …, field to delete, …
SAVE = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local set = tonumber(ARGV[3]) * 2
if set > 0 then redis.call('HSET', KEYS[1], unpack(ARGV, 4, 3 + set)) end
if #ARGV > 3 + set then redis.call('HDEL', KEYS[1], unpack(ARGV, 4 + set)) end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
"""
)

# KEYS: session, events, index. ARGV: id, ttl in ms
TOUCH = Script(
    _NOW
    + """
if redis.call('PEXPIRE', KEYS[1], ARGV[2]) == 0 then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], 'XX', now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1
"""
)

# KEYS: session, events, index. ARGV: id, invalidation channel, its message, events channel
END = Script(
    """
local ended = redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
if ended == 1 then
  redis.call('PUBLISH', ARGV[2], ARGV[3])
  redis.call('PUBLISH', ARGV[4], 'end')
end
return ended
"""
)

# KEYS: session, events. ARGV: stream, data, '1' for the last, most events, most bytes, ttl in ms, events channel
APPEND = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local sequence = redis.call('HINCRBY', KEYS[1], 'n:' .. ARGV[1], 1)
redis.call('XADD', KEYS[2], '*', 's', ARGV[1], 'n', sequence, 'l', ARGV[3], 'd', ARGV[2])
local size = redis.call('HINCRBY', KEYS[1], 'bytes', #ARGV[2])
local count = redis.call('XLEN', KEYS[2])
while count > tonumber(ARGV[4]) or (size > tonumber(ARGV[5]) and count > 1) do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', KEYS[2], oldest[1])
  size = redis.call('HINCRBY', KEYS[1], 'bytes', -#oldest[2][8])
  if oldest[2][6] == '1' then redis.call('HDEL', KEYS[1], 'n:' .. oldest[2][2]) end
  count = count - 1
end
if redis.call('PTTL', KEYS[2]) < 0 then redis.call('PEXPIRE', KEYS[2], ARGV[6]) end
redis.call('PUBLISH', ARGV[7], ARGV[1] .. ' ' .. sequence .. ' ' .. ARGV[3] .. ' ' .. ARGV[2])
return sequence
"""
)

# KEYS: session, events. ARGV: stream, sequence to read after, or -1 to learn only the newest
# Returns the newest sequence and then sequence, last, data of each event, newest first; or -1 no session, -2 no such
# event, -3 events were dropped.
READ = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return {-1} end
local newest = tonumber(redis.call('HGET', KEYS[1], 'n:' .. ARGV[1]) or '0')
local after = tonumber(ARGV[2])
if after < 0 then return {newest} end
if after > newest then return {-2} end
local found = {newest}
local missing = newest - after
local edge = '+'
while missing > 0 do
  local chunk = redis.call('XREVRANGE', KEYS[2], edge, '-', 'COUNT', 100)
  if #chunk == 0 then return {-3} end
  for _, entry in ipairs(chunk) do
    local fields = entry[2]
    if fields[2] == ARGV[1] then
      if tonumber(fields[4]) <= after then return {-3} end
      table.insert(found, fields[4])
      table.insert(found, fields[6])
      table.insert(found, fields[8])
      missing = missing - 1
      if missing == 0 then break end
    end
  end
  edge = '(' .. chunk[#chunk][1]
end
return found
"""
)
