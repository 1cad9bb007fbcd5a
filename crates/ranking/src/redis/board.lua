-- A board of a day or a week: what was sold most stands first. PostgreSQL has the truth of it, and can make it anew; so no fence
-- stands before it.
--
-- KEYS  1 scores  2 versions; both of one board:
--   {ranking:items:<period>:<first day>}:scores    sorted set: item -> the number that was sold, below zero. Redis sorts from the
--                                                  smallest score on, and equal ones by their bytes: so the best stands first, and
--                                                  of two that are equal the one with the smaller id. Who has none is not there.
--   {ranking:items:<period>:<first day>}:versions  hash: item -> the version of its score, also where that is zero, and
--                                                  ":whole" -> 1 once everything that PostgreSQL has of the board is there
-- ":" cannot stand in an id. Numbers are exact up to 2^53. Both keys go when the board is not kept any more.

local WHOLE = ':whole'

-- Milliseconds since 1970.
local function now()
  local clock = redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

local function keep_until(keys, expires)
  redis.call('PEXPIREAT', keys[1], expires)
  redis.call('PEXPIREAT', keys[2], expires)
end

-- Puts absolute scores there. One that is older than what is known of its item changes nothing.
-- ARGV  1 until when the board is kept, in milliseconds  2.. item, score, version of each, at most 256 of them
--       e.g. 1796169600000 tea 12 4 cake 0 2
-- ->    { "OK", 1 where the board is whole, else 0 }, or { "PAST" }: it is not kept any more
local function push(keys, args)
  assert(#args >= 4 and #args % 3 == 1, 'items, scores and versions are not as many')
  if now() >= tonumber(args[1]) then
    return { 'PAST' }
  end
  local items, versions, scores, gone = {}, {}, {}, {}
  for i = 2, #args, 3 do
    items[#items + 1] = args[i]
  end
  local known = redis.call('HMGET', keys[2], WHOLE, unpack(items))
  for i, item in ipairs(items) do
    local score, version = args[3 * i], args[3 * i + 1]
    if (tonumber(known[i + 1] or '0') or 0) <= tonumber(version) then
      versions[#versions + 1], versions[#versions + 2] = item, version
      if score == '0' then
        gone[#gone + 1] = item
      else
        scores[#scores + 1], scores[#scores + 2] = '-' .. score, item
      end
    end
  end
  if #versions > 0 then
    redis.call('HSET', keys[2], unpack(versions))
  end
  if #scores > 0 then
    redis.call('ZADD', keys[1], unpack(scores))
  end
  if #gone > 0 then
    redis.call('ZREM', keys[1], unpack(gone))
  end
  keep_until(keys, args[1])
  return { 'OK', known[1] and 1 or 0 }
end

-- Says that all of the board has been pushed. Where some of it was lost again meanwhile, it is not whole.
-- ARGV  1 until when the board is kept, in milliseconds  2 how many items have been pushed
-- ->    { "OK" }, { "LOST" }, or { "PAST" }
local function finish(keys, args)
  if now() >= tonumber(args[1]) then
    return { 'PAST' }
  end
  if redis.call('HLEN', keys[2]) - redis.call('HEXISTS', keys[2], WHOLE) < tonumber(args[2]) then
    return { 'LOST' }
  end
  redis.call('HSET', keys[2], WHOLE, '1')
  keep_until(keys, args[1])
  return { 'OK' }
end

-- Takes an item off that PostgreSQL does not know, or not in this version, unless it has another version by now.
-- ARGV  1 item  2 the version that was seen, or "" where it had none
-- ->    { "OK" }
local function drop(keys, args)
  local known = redis.call('HGET', keys[2], args[1]) or ''
  if known == args[2] or not tonumber(known) then
    redis.call('HDEL', keys[2], args[1])
    redis.call('ZREM', keys[1], args[1])
  end
  return { 'OK' }
end

-- The first places.
-- ARGV  1 how many
-- ->    { "OK", now, item, score below zero, item, score below zero, ... }, or { "MISSING" } where the board is not whole
local function top(keys, args)
  if redis.call('HEXISTS', keys[2], WHOLE) == 0 then
    return { 'MISSING' }
  end
  local listed = redis.call('ZRANGE', keys[1], 0, tonumber(args[1]) - 1, 'WITHSCORES')
  return { 'OK', now(), unpack(listed) }
end

-- Where an item stands, with those who stand beside it.
-- ARGV  1 item  2 how many before it, and how many behind it
-- ->    { "OK", place of the item from 0 on, place of the first that follows, item, score below zero, ... }, { "NONE" } where the
--       item is not on the board, or { "MISSING" } where the board is not whole
local function rank(keys, args)
  if redis.call('HEXISTS', keys[2], WHOLE) == 0 then
    return { 'MISSING' }
  end
  local place = redis.call('ZRANK', keys[1], args[1])
  if not place then
    return { 'NONE' }
  end
  local first = math.max(0, place - args[2])
  local listed = redis.call('ZRANGE', keys[1], first, place + args[2], 'WITHSCORES')
  return { 'OK', place, first, unpack(listed) }
end

-- Some of what is kept of a board; the next call goes on where this one ended.
-- ARGV  1 "scores" or "versions"  2 cursor, "0" at first  3 about how many
-- ->    { "OK", cursor or "0" at the end, item, score below zero or version, ... }, ":whole" among the items of the versions
local function page(keys, args)
  local found
  if args[1] == 'scores' then
    found = redis.call('ZSCAN', keys[1], args[2], 'COUNT', args[3])
  else
    found = redis.call('HSCAN', keys[2], args[2], 'COUNT', args[3])
  end
  local reply = { 'OK', found[1] }
  for _, part in ipairs(found[2]) do
    reply[#reply + 1] = part
  end
  return reply
end

local READS = { 'no-writes' }
redis.register_function({ function_name = 'ranking_push_1', callback = push })
redis.register_function({ function_name = 'ranking_finish_1', callback = finish })
redis.register_function({ function_name = 'ranking_drop_1', callback = drop, flags = { 'allow-oom' } })
redis.register_function({ function_name = 'ranking_top_1', callback = top, flags = READS })
redis.register_function({ function_name = 'ranking_rank_1', callback = rank, flags = READS })
redis.register_function({ function_name = 'ranking_page_1', callback = page, flags = READS })
