-- A coupon after it was issued: given back. It runs when memory is full, because it may be what makes room.
--
-- KEYS  1 fence  2 deal  3 held  4 seats  5 journal (see deal.lua)

-- Who holds the rank that was named: "<rank>:<seat>:<ms>" of this user, or why not.
local function held_by(keys, user, rank)
  local value = redis.call('HGET', keys[3], user)
  local gone, mine, seat, at = string.match(value or '', '^(%-?)(%d+):(%d+):(%d+)$')
  if mine == rank then
    return { gone = gone == '-', seat = seat, at = at }
  end
  local issued = tonumber(redis.call('HGET', keys[2], 'issued'))
  return nil, tonumber(rank) >= 1 and tonumber(rank) <= issued and 'NOT_OWNER' or 'NOT_FOUND'
end

-- Gives a coupon back: its seat is free for somebody else, its rank is not. A repeat changes nothing.
-- ARGV  1 deal id  2 user  3 rank  4 traceparent, or empty
-- ->    { "OK", now, terms, outcome, rank, ms } with outcome 3 (returned), { "NO", "NOT_OWNER" | "NOT_FOUND" },
--       { "FROZEN" } or { "MISSING", now }
local function give_back(keys, args, tag)
  local terms = redis.call('HGET', keys[2], 'terms')
  local held, why = held_by(keys, args[2], args[3])
  if not held then return { 'NO', why } end
  if not held.gone then
    local free = redis.call('HINCRBY', keys[4], 'free', 1)
    redis.call('HSET', keys[4], tostring(free), held.seat)
    redis.call('HSET', keys[3], args[2], '-' .. args[3] .. ':' .. held.seat .. ':' .. held.at)
    redis.call('HINCRBY', keys[2], 'round', 1)
    redis.call('HINCRBY', keys[2], 'sequence', 1)
    redis.call('XADD', keys[5], '*', 'kind', 'returned', 'deal', args[1], 'at', string.format('%.0f', tag.now),
      'rank', args[3], 'user', args[2], 'seat', held.seat, 'claimed', held.at, 'terms', terms, 'trace', args[4])
    keep_time(keys[1], tag)
  end
  return { 'OK', tag.now, terms, 3, tonumber(args[3]), tonumber(held.at) }
end

redis.register_function({ function_name = 'promotion_return_2', callback = of_deal(give_back), flags = { 'allow-oom' } })
