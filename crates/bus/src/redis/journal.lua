-- The journal of a tag: read by the relay, trimmed below what PostgreSQL has.
--
-- KEYS  1 fence  2 journal, `<namespace>{<service>:<tag>}:journal`, a stream

-- Entries from a position on.
-- ARGV  1 first id, "(" in front of it excludes it  2 how many at most
-- ->    { "OK", epoch, length, highest id ever, { { id, { field, value, ... } }, ... } } or { "FROZEN" }
local function read(keys, args, tag)
  local entries = redis.call('XRANGE', keys[2], args[1], '+', 'COUNT', args[2])
  local last, length = extent(keys[2])
  return { 'OK', tag.epoch, length, last, entries }
end

-- The highest entry that the journal holds; the one at the progress itself is never dropped.
-- ->    { "OK", epoch, id or "0-0" } or { "FROZEN" }
local function last(keys, _, tag)
  local entries = redis.call('XREVRANGE', keys[2], '+', '-', 'COUNT', 1)
  return { 'OK', tag.epoch, entries[1] and entries[1][1] or '0-0' }
end

-- Drops the entries below an id; it runs when memory is full, because it is what makes room.
-- ARGV  1 epoch that the id belongs to  2 lowest id that stays
-- ->    { "OK", how many were dropped } or { "FROZEN" }
local function trim(keys, args, tag)
  if tag.epoch ~= tonumber(args[1]) then
    return { 'FROZEN' }
  end
  return { 'OK', redis.call('XTRIM', keys[2], 'MINID', args[2]) }
end

redis.register_function({ function_name = 'bus_read_2', callback = fenced(read), flags = { 'no-writes' } })
redis.register_function({ function_name = 'bus_last_2', callback = fenced(last), flags = { 'no-writes' } })
redis.register_function({ function_name = 'bus_trim_2', callback = fenced(trim), flags = { 'allow-oom' } })
