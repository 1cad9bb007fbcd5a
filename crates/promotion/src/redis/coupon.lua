-- A coupon after it was issued: found, used by an order, taken back from it, given back.
--
-- KEYS  1 fence  2 deal  3 held  4 seats  5 used  6 journal (see deal.lua and held.lua)
-- ->    { "OK", now, terms, "ISSUED" | "REDEEMED" | "RETURNED", rank, ms, order or "" }, { "NO", why }, { "FROZEN" },
--       { "ARCHIVED", now } or { "MISSING", now }

-- How many orders may try one coupon: each leaves a mark. The number must not grow: who came to undo when there was no room left
-- has none.
local ORDERS_MOST = 1000

-- The coupon of this rank, if this user holds it; or why not.
local function held_by(keys, user, rank)
  local held = parse_held(redis.call('HGET', keys[3], user))
  if held and held.rank == rank then
    return held
  end
  local issued = tonumber(redis.call('HGET', keys[2], 'issued'))
  return nil, tonumber(rank) <= issued and 'NOT_OWNER' or 'COUPON_NOT_FOUND'
end

local function coupon_reply(tag, terms, held, order)
  local state = held.gone and 'RETURNED' or order ~= '' and 'REDEEMED' or 'ISSUED'
  return { 'OK', tag.now, terms, state, tonumber(held.rank), tonumber(held.at), order }
end

-- One more entry of the journal, and of this deal.
local function journal(keys, tag, kind, deal_id, coupon, trace)
  local entry = redis.call('XADD', keys[6], '*', 'kind', kind, 'deal', deal_id, 'at', string.format('%.0f', tag.now),
    'rank', coupon.held.rank, 'user', coupon.user, 'seat', coupon.held.seat, 'claimed', coupon.held.at,
    'terms', coupon.terms, 'version', string.format('%d', coupon.version), 'order', coupon.order, 'trace', trace)
  redis.call('HSET', keys[2], 'entry', entry)
  keep_time(keys[1], tag)
end

-- What one user holds. ARGV 1 user
local function find(keys, args, tag)
  local held = parse_held(redis.call('HGET', keys[3], args[1]))
  if not held then
    return { 'NO', 'COUPON_NOT_FOUND' }
  end
  local order = held.used and read_used(keys, held.rank).order or ''
  return coupon_reply(tag, redis.call('HGET', keys[2], 'terms'), held, order)
end

-- Whether one more order may try this rank.
local function has_room(keys, rank)
  return tonumber(redis.call('HGET', keys[5], rank .. '/') or '0') < ORDERS_MOST
end

-- Why an order may not have a coupon, or nil. (redeem.rs decides the same of a deal that is archived.)
local function redeem_refusal(keys, args, tag, terms, held, used)
  if held.gone then return 'COUPON_RETURNED' end
  if used.order ~= '' then return 'COUPON_REDEEMED' end
  if is_expired(terms, held.at, tag.now) then return 'COUPON_EXPIRED' end
  local is_barred = redis.call('HEXISTS', keys[5], held.rank .. '/' .. args[4]) == 1
  if is_barred or not has_room(keys, held.rank) then return 'COUPON_OTHER_ORDER' end
  if redis.call('MEMORY', 'USAGE', keys[6]) >= tonumber(args[6]) then return 'FULL' end
  return nil
end

-- Uses a coupon for an order. The same order again changes nothing.
-- ARGV  1 deal id  2 user  3 rank  4 order  5 traceparent, or empty  6 how many bytes the journal may take
local function redeem(keys, args, tag)
  local held, why = held_by(keys, args[2], args[3])
  if not held then return { 'NO', why } end
  local terms, used = redis.call('HGET', keys[2], 'terms'), read_used(keys, args[3])
  if held.gone or used.order ~= args[4] then
    why = redeem_refusal(keys, args, tag, terms, held, used)
    if why then return { 'NO', why } end
    used = { version = used.version + 1, order = args[4], user = args[2] }
    write_used(keys, args[3], used)
    redis.call('HINCRBY', keys[5], args[3] .. '/', 1)
    redis.call('HSET', keys[3], args[2], '0' .. held.rank .. ':' .. held.seat .. ':' .. held.at)
    journal(keys, tag, 'redeemed', args[1],
      { held = held, user = args[2], terms = terms, version = used.version, order = args[4] }, args[5])
  end
  return coupon_reply(tag, terms, held, used.order)
end

-- Takes a coupon back from an order, which can never redeem it from now on, whether or not it has before. Whoever else has
-- redeemed it keeps it. It runs when memory is full: an undo always does.
-- ARGV  1 deal id  2 rank  3 order  4 traceparent, or empty
-- ->    { "OK", now, terms, "ISSUED" | "RETURNED", rank, ms, "", user }, { "OK", now } where no order ever has redeemed it, and
--       nobody here knows whose it is; { "NO", "COUPON_NOT_FOUND" | "COUPON_OTHER_ORDER" }, or as above
local function restore(keys, args, tag)
  local rank, order, mark = args[2], args[3], args[2] .. '/' .. args[3]
  if tonumber(rank) > tonumber(redis.call('HGET', keys[2], 'issued')) then return { 'NO', 'COUPON_NOT_FOUND' } end
  local used, terms = read_used(keys, rank), redis.call('HGET', keys[2], 'terms')
  local held = parse_held(redis.call('HGET', keys[3], used.user))
  if used.order == order then
    used.version, used.order = used.version + 1, ''
    write_used(keys, rank, used)
    redis.call('HSET', keys[5], mark, '1')
    journal(keys, tag, 'restored', args[1],
      { held = held, user = used.user, terms = terms, version = used.version, order = order }, args[4])
  elseif redis.call('HEXISTS', keys[5], mark) == 0 and has_room(keys, rank) then
    -- Without room nobody new ever redeems this rank: there is nothing to keep away.
    redis.call('HSET', keys[5], mark, '1')
    redis.call('HINCRBY', keys[5], rank .. '/', 1)
  end
  if used.order ~= '' then return { 'NO', 'COUPON_OTHER_ORDER' } end
  if not held then return { 'OK', tag.now } end
  local reply = coupon_reply(tag, terms, held, '')
  reply[#reply + 1] = used.user
  return reply
end

-- Gives a coupon back: its seat is free for somebody else, its rank is not. A repeat changes nothing. It runs when memory is
-- full, because it may be what makes room.
-- ARGV  1 deal id  2 user  3 rank  4 traceparent, or empty
local function give_back(keys, args, tag)
  local held, why = held_by(keys, args[2], args[3])
  if not held then return { 'NO', why } end
  local terms, used = redis.call('HGET', keys[2], 'terms'), read_used(keys, args[3])
  if not held.gone then
    if used.order ~= '' then return { 'NO', 'COUPON_REDEEMED' } end
    if is_expired(terms, held.at, tag.now) then return { 'NO', 'COUPON_EXPIRED' } end
    local free = redis.call('HINCRBY', keys[4], 'free', 1)
    redis.call('HSET', keys[4], tostring(free), held.seat)
    redis.call('HSET', keys[3], args[2], '-' .. held.rank .. ':' .. held.seat .. ':' .. held.at)
    redis.call('HINCRBY', keys[2], 'round', 1)
    redis.call('HINCRBY', keys[2], 'sequence', 1)
    held.gone, used.version = true, used.version + 1
    if held.used then write_used(keys, args[3], used) end
    journal(keys, tag, 'returned', args[1],
      { held = held, user = args[2], terms = terms, version = used.version, order = '' }, args[4])
    announce(keys)
  end
  return coupon_reply(tag, terms, held, '')
end

redis.register_function({ function_name = 'promotion_find_3', callback = of_deal(find), flags = { 'no-writes' } })
redis.register_function('promotion_redeem_3', of_deal(redeem))
redis.register_function({ function_name = 'promotion_restore_3', callback = of_deal(restore), flags = { 'allow-oom' } })
redis.register_function({ function_name = 'promotion_return_3', callback = of_deal(give_back), flags = { 'allow-oom' } })
