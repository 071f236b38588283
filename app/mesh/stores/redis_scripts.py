"""What must happen to the mesh in Redis as a whole or not at all, in Lua.

`agents` is a hash of records, `proofs` one of what decides who may change them: 32 characters of the token's digest, 16
of the content's, the owner, a line break and the name. `states` has those that are not healthy, `beats` orders all by
when they were last heard, by Redis' own clock. `owners` and `owned` say to whom a name belongs and for how many agents.
`log` is a stream of the changes.
"""

from __future__ import annotations

from app.sessions.redis_client import Script

PREFIX = "slipway:mesh:"
KEYS = tuple(f"{PREFIX}{name}" for name in ("agents", "proofs", "states", "beats", "owners", "owned", "log"))
EPOCH = f"{PREFIX}epoch"
NEWS = f"{PREFIX}news"

# Every script is given KEYS as above; ARGV begins with the channel for news and the most entries of the log.
_COMMON = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local noted = false
local function note(kind, id, record)
  local entry = {'XADD', KEYS[7], 'MAXLEN', '~', ARGV[2], '*', 'k', kind, 'i', id}
  if record then entry[11], entry[12] = 'r', record end
  redis.call(unpack(entry))
  noted = true
end
local function disown(proof)
  local owner, name = string.match(string.sub(proof, 49), '^(.-)\\n(.*)$')
  if owner ~= '' and redis.call('HINCRBY', KEYS[6], name, -1) <= 0 then
    redis.call('HDEL', KEYS[5], name)
    redis.call('HDEL', KEYS[6], name)
  end
end
local function drop(kind, id)
  local proof = redis.call('HGET', KEYS[2], id)
  if not proof then return end
  disown(proof)
  redis.call('HDEL', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  note(kind, id)
end
local function tell()
  if noted then redis.call('PUBLISH', ARGV[1], 'log') end
end
"""

# ARGV: …, id, record, token's digest, content's digest, owner, name, '1' when proved, most agents, 'put' or 'restore',
# state
PUT = Script(
    _COMMON
    + """
local id, record, secret, digest, owner, name = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local proved = ARGV[9] == '1'
local proof = redis.call('HGET', KEYS[2], id)
local state = redis.call('HGET', KEYS[3], id) or '0'
local made = secret .. digest .. owner .. '\\n' .. name
if ARGV[11] == 'restore' then
  if proof then return 'same' end
else
  local holder = redis.call('HGET', KEYS[5], name)
  if holder and holder ~= owner and not (proof and proved) then return 'foreign' end
  if proof == made and state == '0' then
    redis.call('ZADD', KEYS[4], now, id)
    return 'same'
  end
  if proof and string.sub(proof, 1, 32) ~= secret and not proved and state ~= '2' then return 'taken' end
end
if not proof and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[10]) then return 'full' end
if proof then disown(proof) end
if owner ~= '' then
  redis.call('HSET', KEYS[5], name, owner)
  redis.call('HINCRBY', KEYS[6], name, 1)
end
redis.call('HSET', KEYS[1], id, record)
redis.call('HSET', KEYS[2], id, made)
redis.call('ZADD', KEYS[4], now, id)
local kind = 'changed'
if not proof or state == '2' then kind = 'registered' end
if ARGV[12] == '0' then
  redis.call('HDEL', KEYS[3], id)
else
  redis.call('HSET', KEYS[3], id, ARGV[12])
  kind = ARGV[12] == '1' and 'degraded' or 'gone'
end
note(kind, id, record)
tell()
return kind
"""
)

# ARGV: …, id, …
REMOVE = Script(
    _COMMON
    + """
for at = 3, #ARGV do drop('deregistered', ARGV[at]) end
tell()
return 1
"""
)

# ARGV: …, the message for other replicas, id, …
BEAT = Script(
    _COMMON
    + """
local command = {'ZADD', KEYS[4], 'XX'}
for at = 4, #ARGV do
  command[#command + 1] = now
  command[#command + 1] = ARGV[at]
end
redis.call(unpack(command))
redis.call('PUBLISH', ARGV[1], ARGV[3])
return 1
"""
)

# ARGV: …, then id, kind and the least silence in ms of each
EXPIRE = Script(
    _COMMON
    + """
for at = 3, #ARGV, 3 do
  local id, kind, silence = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  if redis.call('HEXISTS', KEYS[1], id) == 1 then
    local state = redis.call('HGET', KEYS[3], id) or '0'
    local heard = redis.call('ZSCORE', KEYS[4], id)
    if not heard then
      redis.call('ZADD', KEYS[4], now, id)
      heard = now
    end
    local silent = now - tonumber(heard) >= silence
    if kind == 'recovered' then
      if state ~= '0' then
        redis.call('HDEL', KEYS[3], id)
        note(kind, id)
      end
    elseif silent and kind == 'degraded' and state == '0' then
      redis.call('HSET', KEYS[3], id, '1')
      note(kind, id)
    elseif silent and kind == 'gone' and state ~= '2' then
      redis.call('HSET', KEYS[3], id, '2')
      note(kind, id)
    elseif silent and kind == 'forgotten' and state == '2' then
      drop(kind, id)
    end
  end
end
tell()
return 1
"""
)

# KEYS: epoch, log. ARGV: the epoch to begin where there is none, and what a replica has read, as epoch and place.
# Returns the epoch, the log's first and last places. A replica that has read more than there is shows that Redis has
# lost something: another epoch begins, so that every replica gives back what it knows.
HELLO = Script(
    """
local epoch = redis.call('GET', KEYS[1])
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local function number(place)
  local ms, count = string.match(place, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(count)
end
if epoch and epoch == ARGV[2] and ARGV[3] ~= '' then
  local read_ms, read_count = number(ARGV[3])
  local ms, count = number(last and last[1] or '0-0')
  if read_ms > ms or (read_ms == ms and read_count > count) then epoch = false end
end
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
return {epoch, first and first[1] or '0-0', last and last[1] or '0-0'}
"""
)
