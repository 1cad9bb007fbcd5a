-- Who won a deal that is sold out, and whether that is still so: what a process needs to answer from its own memory.
--
-- KEYS  1 fence, then see each function (and deal.lua)

-- All holders of a sold out deal, with the round and the sequence that they belong to, in one step.
-- KEYS  2 deal  3 held  4 seats
-- ARGV  1 how many holders at most
-- ->    { "OK", now, round, sequence, closes, terms, user, value, user, value, ... }, { "NO", why } where it is not sold
--       out, is closed, or has too many holders; { "FROZEN" } or { "MISSING", now }
local function winners(keys, args, tag)
  local row = redis.call('HMGET', keys[2], 'stock', 'seats', 'round', 'sequence', 'closes', 'terms', 'frozen', 'closed')
  local free = tonumber(redis.call('HGET', keys[4], 'free'))
  if tonumber(row[2]) - free < tonumber(row[1]) or row[7] == '1' or row[8] ~= '' or tag.now >= tonumber(row[5]) then
    return { 'NO', 'not sold out' }
  end
  if redis.call('HLEN', keys[3]) > tonumber(args[1]) then
    return { 'NO', 'too many holders' }
  end
  local reply = { 'OK', tag.now, row[3], row[4], row[5], row[6] }
  for _, part in ipairs(redis.call('HGETALL', keys[3])) do
    reply[#reply + 1] = part
  end
  return reply
end

-- Some of the holders of a deal; the next call goes on where this one ended.
-- KEYS  2 deal  3 held
-- ARGV  1 cursor, "0" at first  2 about how many
-- ->    { "OK", now, cursor or "0" at the end, user, value, user, value, ... }, { "FROZEN" } or { "MISSING", now }
local function holders(keys, args, tag)
  local page = redis.call('HSCAN', keys[3], args[1], 'COUNT', args[2])
  local reply = { 'OK', tag.now, page[1] }
  for _, part in ipairs(page[2]) do
    reply[#reply + 1] = part
  end
  return reply
end

-- Round and sequence of several deals of one tag.
-- KEYS  2.. deals
-- ->    { "OK", now, round, sequence, round, sequence, ... } with 0 where a deal is missing or of an older epoch, or
--       { "FROZEN" }
local function rounds(keys, _, tag)
  local reply = { 'OK', tag.now }
  for i = 2, #keys do
    local row = redis.call('HMGET', keys[i], 'round', 'sequence', 'epoch')
    local ours = tonumber(row[3] or '0') == tag.epoch
    reply[#reply + 1], reply[#reply + 2] = ours and row[1] or '0', ours and row[2] or '0'
  end
  return reply
end

redis.register_function({ function_name = 'promotion_winners_2', callback = of_deal(winners), flags = { 'no-writes' } })
redis.register_function({ function_name = 'promotion_holders_2', callback = of_deal(holders), flags = { 'no-writes' } })
redis.register_function({ function_name = 'promotion_rounds_2', callback = fenced(rounds), flags = { 'no-writes' } })
