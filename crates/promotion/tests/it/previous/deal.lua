-- A deal: put, armed, changed, read.
--
-- KEYS  1 fence  2 deal  3 held  4 seats; all of one tag:
--   {promotion:<tag>}:deal:<id>   hash: epoch (the tag's, when it was put), stock, issued (ranks given), seats (seats ever
--                                 given), round, sequence, version, opens, closes (milliseconds), pass, armed, frozen (0
--                                 or 1), closed (milliseconds, or empty), terms (JSON: what every coupon of the deal says)
--   {promotion:<tag>}:held:<id>   hash: user -> "<rank>:<seat>:<milliseconds>", "-" in front once it was returned
--   {promotion:<tag>}:seats:<id>  hash: free -> how many seats were freed, 1.. -> which
-- ":" cannot stand in an id, so the field ":" keeps `held` alive while nobody holds anything: a declared key exists.

-- Wraps a function of one deal. One that is not there is MISSING. One of an older epoch of the tag is FROZEN: a part of what
-- happened to it may be lost here.
local function of_deal(serve)
  return fenced(function(keys, args, tag)
    local epoch = redis.call('HGET', keys[2], 'epoch')
    if not epoch then
      return { 'MISSING', tag.now }
    end
    if tonumber(epoch) ~= tag.epoch then
      return { 'FROZEN' }
    end
    return serve(keys, args, tag)
  end)
end

-- Puts a deal that is not there yet, unarmed: nobody can claim. One that is there stays as it is.
-- ARGV  1 version  2 stock  3 opens  4 closes  5 pass  6 terms
-- ->    { "OK", now } or { "FROZEN" }
local function put(keys, args, tag)
  if redis.call('EXISTS', keys[2]) == 0 then
    redis.call('HSET', keys[2], 'version', args[1], 'stock', args[2], 'opens', args[3], 'closes', args[4],
      'pass', args[5], 'terms', args[6], 'epoch', string.format('%d', tag.epoch), 'issued', '0', 'seats', '0', 'round', '1', 'sequence', '1',
      'armed', '0', 'frozen', '0', 'closed', '')
    redis.call('HSET', keys[3], ':', '')
    redis.call('HSET', keys[4], 'free', '0')
    keep_time(keys[1], tag)
  end
  return { 'OK', tag.now }
end

-- Arms a deal that was put: from now on it can be claimed. KEYS 1 and 2 only.
-- ->    { "OK", now }, { "FROZEN" } or { "MISSING", now }
local function arm(keys, _, tag)
  redis.call('HSET', keys[2], 'armed', '1')
  keep_time(keys[1], tag)
  return { 'OK', tag.now }
end

-- The deal as it stands. KEYS 1, 2 and 4.
-- ->    { "OK", now, epoch, stock, issued, seats, free, round, sequence, version, opens, closes, armed, frozen, closed },
--       { "FROZEN" } or { "MISSING", now }
local function look(keys, _, tag)
  local row = redis.call('HMGET', keys[2], 'stock', 'issued', 'seats', 'round', 'sequence', 'version', 'opens',
    'closes', 'armed', 'frozen', 'closed')
  local free = redis.call('HGET', keys[3], 'free') or '0'
  return { 'OK', tag.now, tag.epoch, row[1], row[2], row[3], free, row[4], row[5], row[6], row[7], row[8], row[9],
    row[10], row[11] }
end

-- Why an order cannot be carried out, or nil.
local function update_refusal(deal, tag, stock)
  if deal.closed ~= '' or tag.now >= deal.closes then return 'DEAL_OVER' end
  if stock < deal.stock then return 'STOCK_SHRINKS' end
  return nil
end

-- Decides on a newer order for the stock; an older one is ignored. KEYS 1 and 2. A raise begins a new round.
-- ARGV  1 version  2 stock
-- ->    { "OK", now, stock in force, reason of a refusal or "" }, { "FROZEN" } or { "MISSING", now }
local function update(keys, args, tag)
  local row = redis.call('HMGET', keys[2], 'stock', 'closes', 'closed', 'version')
  local deal = { stock = tonumber(row[1]), closes = tonumber(row[2]), closed = row[3] }
  local stock = tonumber(args[2])
  if tonumber(args[1]) <= tonumber(row[4]) then
    return { 'OK', tag.now, deal.stock, '' }
  end
  local why = update_refusal(deal, tag, stock)
  redis.call('HSET', keys[2], 'version', args[1])
  if not why and stock > deal.stock then
    redis.call('HSET', keys[2], 'stock', args[2])
    redis.call('HINCRBY', keys[2], 'round', 1)
    redis.call('HINCRBY', keys[2], 'sequence', 1)
    deal.stock = stock
  end
  keep_time(keys[1], tag)
  return { 'OK', tag.now, deal.stock, why or '' }
end

redis.register_function('promotion_put_2', fenced(put))
redis.register_function('promotion_arm_2', of_deal(arm))
redis.register_function('promotion_update_2', of_deal(update))
redis.register_function({ function_name = 'promotion_look_2', callback = of_deal(look), flags = { 'no-writes' } })
