-- Who may serve a tag: stamped once, and changed by an operator.
--
-- KEYS  1 fence  2 journal (see journal.lua)

-- The ids of the nodes that may serve.
local function node_ids(fence)
  local ids = {}
  for _, field in ipairs(redis.call('HKEYS', fence)) do
    ids[#ids + 1] = string.match(field, '^node:(.+)$')
  end
  return ids
end

-- A stream that was once written to stays when it is empty: a declared key always exists.
local function make_journal(journal)
  if redis.call('EXISTS', journal) == 0 then
    redis.call('XADD', journal, '*', 'kind', 'stamped')
    redis.call('XTRIM', journal, 'MAXLEN', '0')
  end
end

-- The highest id that was ever given in the journal, and how many entries it holds.
local function extent(journal)
  if redis.call('EXISTS', journal) == 0 then
    return '0-0', 0
  end
  local info = redis.call('XINFO', 'STREAM', journal)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return info[i + 1], redis.call('XLEN', journal)
    end
  end
end

-- What this node knows of the tag, whether or not it may serve it.
-- ->    { node id, journal id or "", epoch or 0, highest entry id, entries, { node ids } }
local function look(keys)
  local row = redis.call('HMGET', keys[1], 'journal', 'epoch')
  local last, entries = extent(keys[2])
  return { redis.call('CLUSTER', 'MYID'), row[1] or '', tonumber(row[2] or '0'), last, entries, node_ids(keys[1]) }
end

-- Stamps a tag that has no fence yet, with this node; a tag that has one keeps it.
-- ARGV  1 id for a new journal
-- ->    as `look`
local function stamp(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then
    local mine = redis.call('CLUSTER', 'MYID')
    redis.call('HSET', keys[1], 'node:' .. mine, '1', 'epoch', '1', 'journal', args[1], 'now', '0')
    make_journal(keys[2])
  end
  return look(keys)
end

-- Allows one more node: the one that the slot is about to be moved to. KEYS 1 only.
-- ARGV  1 node id
-- ->    { "OK" } or { "FROZEN" }
local function allow(keys, args)
  redis.call('HSET', keys[1], 'node:' .. args[1], '1')
  return { 'OK' }
end

-- Forbids this node: what it holds is older than what others have seen of it.
-- ARGV  1 epoch that this is so in
-- ->    { "OK" } or { "FROZEN" }
local function close(keys, args, tag)
  if tag.epoch ~= tonumber(args[1]) then
    return { 'FROZEN' }
  end
  redis.call('HDEL', keys[1], 'node:' .. redis.call('CLUSTER', 'MYID'))
  return { 'OK' }
end

-- Allows this node, and no other. Nothing happens where the tag has meanwhile moved to another node, or has a newer epoch.
-- ARGV  1 id of this node, as it was seen  2 journal id  3 epoch  4 "1" where every entry of the journal is known elsewhere
-- ->    { "OK" } or { "MOVED" }
local function release(keys, args)
  local mine = redis.call('CLUSTER', 'MYID')
  local epoch = tonumber(redis.call('HGET', keys[1], 'epoch') or '0')
  if mine ~= args[1] or epoch > tonumber(args[3]) then
    return { 'MOVED' }
  end
  for _, id in ipairs(node_ids(keys[1])) do
    redis.call('HDEL', keys[1], 'node:' .. id)
  end
  redis.call('HSET', keys[1], 'node:' .. mine, '1', 'journal', args[2], 'epoch', args[3])
  redis.call('HSETNX', keys[1], 'now', '0')
  make_journal(keys[2])
  if args[4] == '1' then
    redis.call('XTRIM', keys[2], 'MAXLEN', '0')
  end
  return { 'OK' }
end

redis.register_function('bus_stamp_2', stamp)
redis.register_function({ function_name = 'bus_fence_2', callback = look, flags = { 'no-writes' } })
redis.register_function({ function_name = 'bus_allow_2', callback = fenced(allow), flags = { 'allow-oom' } })
redis.register_function({ function_name = 'bus_close_2', callback = fenced(close), flags = { 'allow-oom' } })
redis.register_function({ function_name = 'bus_release_2', callback = release, flags = { 'allow-oom' } })
