"""What must happen to a map in Redis as a whole or not at all, in Lua.

A map is one hash at `map_state:<session>`: `epoch`, `version`, `bytes`, and for each entry a field `<kind>:<id>` with
the version it was added at and a field `<kind>:<id>:<property>` for each property, as JSON. So edits of different
properties never meet. Its log is a stream whose ids are versions. `slipway:maps` orders the maps by when they end.
"""

from __future__ import annotations

from app.sessions.redis_client import Script

# KEYS: map, log, index. ARGV: 1 session, 2 ttl in ms, 3 most maps, 4 most entries, 5 most bytes, 6 most log entries,
# 7 most log bytes, 8 channel, 9 new epoch, 10 verb, 11 kind, 12 id, 13 the kind's properties (comma-separated), then
# name, value, … Returns {reason} or {'', epoch, version, id, name, value, …} without the shapes.
EDIT = Script(
    """
local map, log, index = KEYS[1], KEYS[2], KEYS[3]
local verb, kind, id = ARGV[10], ARGV[11], ARGV[12]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = redis.call('HGET', map, 'epoch')
if not epoch then
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  if redis.call('ZCARD', index) >= tonumber(ARGV[3]) then return {'maps'} end
end
local grown = 0
if verb ~= 'clear' then
  local known = id ~= '' and redis.call('HEXISTS', map, kind .. ':' .. id) == 1
  if verb == 'add' then
    if known then return {'taken'} end
    if tonumber(redis.call('HGET', map, 'count:' .. kind) or '0') >= tonumber(ARGV[4]) then return {'full'} end
  elseif verb ~= 'put' and not known then
    return {'unknown'}
  end
  for place = 14, #ARGV, 2 do
    grown = grown + #ARGV[place + 1] - redis.call('HSTRLEN', map, kind .. ':' .. id .. ':' .. ARGV[place])
  end
  if grown > 0 and tonumber(redis.call('HGET', map, 'bytes') or '0') + grown > tonumber(ARGV[5]) then
    return {'large'}
  end
end
if not epoch then
  epoch = ARGV[9]
  redis.call('DEL', log)
  redis.call('HSET', map, 'epoch', epoch)
end
local version = redis.call('HINCRBY', map, 'version', 1)
local answer = {'', epoch, version, id}
local function tell(prefix)
  for name in string.gmatch(ARGV[13], '[^,]+') do
    local value = name ~= 'geojson' and redis.call('HGET', map, prefix .. ':' .. name)
    if value then
      table.insert(answer, name)
      table.insert(answer, value)
    end
  end
end
if verb == 'clear' then
  local doomed = {}
  for _, name in ipairs(redis.call('HKEYS', map)) do
    local of = string.match(name, '^(%a+):')
    if (of == 'view' or of == 'marker' or of == 'layer') and (kind == 'all' or kind == of) then
      if string.match(name, '^%a+:[^:]+:') then grown = grown - redis.call('HSTRLEN', map, name) end
      table.insert(doomed, name)
    end
  end
  for place = 1, #doomed, 1000 do
    redis.call('HDEL', map, unpack(doomed, place, math.min(place + 999, #doomed)))
  end
  for _, of in ipairs({'view', 'marker', 'layer'}) do
    if kind == 'all' or kind == of then redis.call('HDEL', map, 'count:' .. of) end
  end
elseif verb == 'remove' then
  local prefix = kind .. ':' .. id
  tell(prefix)
  for name in string.gmatch(ARGV[13], '[^,]+') do
    grown = grown - redis.call('HSTRLEN', map, prefix .. ':' .. name)
    redis.call('HDEL', map, prefix .. ':' .. name)
  end
  redis.call('HDEL', map, prefix)
  redis.call('HINCRBY', map, 'count:' .. kind, -1)
else
  while id == '' do
    local made = kind .. '-' .. redis.call('HINCRBY', map, 'ids:' .. kind, 1)
    if redis.call('HEXISTS', map, kind .. ':' .. made) == 0 then id = made end
  end
  answer[4] = id
  local prefix = kind .. ':' .. id
  if redis.call('HSETNX', map, prefix, version) == 1 then redis.call('HINCRBY', map, 'count:' .. kind, 1) end
  for place = 14, #ARGV, 2 do redis.call('HSET', map, prefix .. ':' .. ARGV[place], ARGV[place + 1]) end
  tell(prefix)
end
redis.call('HINCRBY', map, 'bytes', grown)
local size = 0
for place = 14, #ARGV, 2 do size = size + #ARGV[place + 1] end
redis.call('XADD', log, version .. '-0', 's', size, 'e', verb, 'k', kind, 'i', id, unpack(ARGV, 14))
local logged = redis.call('HINCRBY', map, 'log', size)
local count = redis.call('XLEN', log)
while count > tonumber(ARGV[6]) or (logged > tonumber(ARGV[7]) and count > 0) do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', log, oldest[1])
  logged = redis.call('HINCRBY', map, 'log', -tonumber(oldest[2][2]))
  count = count - 1
end
redis.call('PEXPIRE', map, ARGV[2])
redis.call('PEXPIRE', log, ARGV[2])
redis.call('ZADD', index, now + ARGV[2], ARGV[1])
redis.call('PUBLISH', ARGV[8], ARGV[1])
return answer
"""
)

# KEYS: map, log, index. ARGV: session, ttl in ms, '1' to have the shapes too. Returns field, value, …
READ = Script(
    """
if redis.call('PEXPIRE', KEYS[1], ARGV[2]) == 0 then return {} end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local clock = redis.call('TIME')
redis.call('ZADD', KEYS[3], clock[1] * 1000 + ARGV[2], ARGV[1])
if ARGV[3] == '1' then return redis.call('HGETALL', KEYS[1]) end
local found = {}
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not string.match(name, ':geojson$') then
    table.insert(found, name)
    table.insert(found, redis.call('HGET', KEYS[1], name))
  end
end
return found
"""
)

# KEYS: map, log. ARGV: epoch, version to read after, or -1 to learn only where the map is.
# Returns epoch, version, whether what follows is all that came after; and the log's entries.
CHANGES = Script(
    """
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return {'', 0, 0} end
local version = tonumber(redis.call('HGET', KEYS[1], 'version'))
local after = tonumber(ARGV[2])
if epoch ~= ARGV[1] or after < 0 or after > version then return {epoch, version, 0} end
local made = redis.call('XRANGE', KEYS[2], '(' .. after .. '-0', '+')
if #made ~= version - after then return {epoch, version, 0} end
return {epoch, version, 1, made}
"""
)
