-- The journal of a tag: stamped once, read by the relay, trimmed below what PostgreSQL has.
--
-- KEYS  1 fence  2 journal, `<namespace>{<service>:<tag>}:journal`, a stream

-- Stamps a tag that has no fence yet, with this node; a tag that has one keeps it.
-- ARGV  1 id for a new journal
-- ->    { node id, journal id, epoch }
local function stamp(keys, args)
  local mine = redis.call('CLUSTER', 'MYID')
  if redis.call('EXISTS', keys[1]) == 0 then
    redis.call('HSET', keys[1], 'node:' .. mine, '1', 'epoch', '1', 'journal', args[1], 'now', '0')
    -- A stream that was once written to stays when it is empty: a declared key always exists.
    redis.call('XADD', keys[2], '*', 'kind', 'stamped')
    redis.call('XTRIM', keys[2], 'MAXLEN', '0')
  end
  local row = redis.call('HMGET', keys[1], 'journal', 'epoch')
  return { mine, row[1], tonumber(row[2]) }
end

-- Entries from a position on.
-- ARGV  1 first id, "(" in front of it excludes it  2 how many at most
-- ->    { "OK", epoch, length, { id, { field, value, ... } }, ... } or { "FROZEN" }
local function read(keys, args)
  local tag = open_tag(keys[1])
  if not tag then
    return { 'FROZEN' }
  end
  local entries = redis.call('XRANGE', keys[2], args[1], '+', 'COUNT', args[2])
  return { 'OK', tag.epoch, redis.call('XLEN', keys[2]), entries }
end

-- The highest entry that the journal holds; the one at the progress itself is never dropped.
-- ->    { "OK", epoch, id or "0-0" } or { "FROZEN" }
local function last(keys)
  local tag = open_tag(keys[1])
  if not tag then
    return { 'FROZEN' }
  end
  local entries = redis.call('XREVRANGE', keys[2], '+', '-', 'COUNT', 1)
  return { 'OK', tag.epoch, entries[1] and entries[1][1] or '0-0' }
end

-- Drops the entries below an id; it runs when memory is full, because it is what makes room.
-- ARGV  1 epoch that the id belongs to  2 lowest id that stays
-- ->    { "OK", how many were dropped } or { "FROZEN" }
local function trim(keys, args)
  local tag = open_tag(keys[1])
  if not tag or tag.epoch ~= tonumber(args[1]) then
    return { 'FROZEN' }
  end
  return { 'OK', redis.call('XTRIM', keys[2], 'MINID', args[2]) }
end

redis.register_function('bus_stamp_1', stamp)
redis.register_function({ function_name = 'bus_read_1', callback = read, flags = { 'no-writes' } })
redis.register_function({ function_name = 'bus_last_1', callback = last, flags = { 'no-writes' } })
redis.register_function({ function_name = 'bus_trim_1', callback = trim, flags = { 'allow-oom' } })
