-- A deal: put, armed, changed, read, archived.
--
-- KEYS  1 fence  2 deal  3 held  4 seats  5 used; all of one tag:
--   {promotion:<tag>}:deal:<id>   hash: epoch (the tag's, when it was put), stock, issued (ranks given), seats (seats ever
--                                 given), round, sequence, version (of the newest order), decided ("<version>:<why not>"),
--                                 opens, closes (milliseconds), pass, armed, frozen (0 or 1), closed (milliseconds, or
--                                 empty), entry (its last one in the journal), terms (JSON: what every coupon of it says).
--                                 Once it is archived only archived (milliseconds): PostgreSQL has the rest.
--   {promotion:<tag>}:held:<id>   hash: user -> "<sign><rank>:<seat>:<milliseconds>" (see held.lua)
--   {promotion:<tag>}:seats:<id>  hash: free -> how many seats were freed, 1.. -> which
--   {promotion:<tag>}:used:<id>   hash: what was used by orders (see held.lua)
-- ":" cannot stand in an id, so the field ":" keeps a hash alive while there is nothing in it: a declared key exists.

-- Wraps a function of one deal. One that is not there is MISSING, one whose coupons are all over is ARCHIVED. One of an older
-- epoch of the tag is FROZEN: a part of what happened to it may be lost here.
local function of_deal(serve)
  return fenced(function(keys, args, tag)
    local row = redis.call('HMGET', keys[2], 'epoch', 'archived')
    if row[2] then
      return { 'ARCHIVED', tag.now }
    end
    if not row[1] then
      return { 'MISSING', tag.now }
    end
    if tonumber(row[1]) ~= tag.epoch then
      return { 'FROZEN' }
    end
    return serve(keys, args, tag)
  end)
end

-- Tells whoever listens to this tag that the deal has changed. It may be lost on its way: a hint to look, no more. Where nobody
-- listens nothing is said: it would go to every replica, with two kilobytes around it.
local function announce(keys)
  local channel = string.gsub(keys[1], ':fence$', ':changes')
  if redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > 0 then
    redis.call('SPUBLISH', channel, string.match(keys[2], ':deal:(.+)$'))
  end
end

-- Puts a deal that is not there yet, unarmed: nobody can claim. One that is there stays as it is.
-- ARGV  1 version  2 stock  3 opens  4 closes  5 pass  6 terms
-- ->    { "OK", now } or { "FROZEN" }
local function put(keys, args, tag)
  if redis.call('EXISTS', keys[2]) == 0 then
    redis.call('HSET', keys[2], 'version', args[1], 'stock', args[2], 'opens', args[3], 'closes', args[4],
      'pass', args[5], 'terms', args[6], 'epoch', string.format('%d', tag.epoch), 'issued', '0', 'seats', '0', 'round', '1',
      'sequence', '1', 'armed', '0', 'frozen', '0', 'closed', '', 'entry', '0-0')
    redis.call('HSET', keys[3], ':', '')
    redis.call('HSET', keys[4], 'free', '0')
    redis.call('HSET', keys[5], ':', '')
    keep_time(keys[1], tag)
  end
  return { 'OK', tag.now }
end

-- Arms a deal that was put: from now on it can be claimed. KEYS 1 and 2 only.
-- ->    { "OK", now }, { "FROZEN" }, { "ARCHIVED", now } or { "MISSING", now }
local function arm(keys, _, tag)
  if redis.call('HGET', keys[2], 'armed') ~= '1' then
    redis.call('HSET', keys[2], 'armed', '1')
    keep_time(keys[1], tag)
    announce(keys)
  end
  return { 'OK', tag.now }
end

-- The deal as it stands. KEYS 1, 2 and the one of its seats.
-- ->    { "OK", now, epoch, stock, issued, seats, free, round, sequence, opens, closes, armed, frozen, closed, entry },
--       { "FROZEN" }, { "ARCHIVED", now } or { "MISSING", now }
local function look(keys, _, tag)
  local row = redis.call('HMGET', keys[2], 'stock', 'issued', 'seats', 'round', 'sequence', 'opens', 'closes', 'armed',
    'frozen', 'closed', 'entry')
  local free = redis.call('HGET', keys[3], 'free') or '0'
  return { 'OK', tag.now, tag.epoch, row[1], row[2], row[3], free, row[4], row[5], row[6], row[7], row[8], row[9],
    row[10], row[11] or '0-0' }
end

-- What is in force, and the newest order.
local function read_order(keys)
  local row = redis.call('HMGET', keys[2], 'stock', 'opens', 'closes', 'closed', 'pass', 'terms', 'version', 'decided')
  return { stock = tonumber(row[1]), opens = tonumber(row[2]), closes = tonumber(row[3]), closed = row[4], pass = row[5],
    terms = row[6], version = tonumber(row[7]), decided = row[8] or '' }
end

-- Why an order cannot be carried out, or "". Nothing of it is, then.
local function update_refusal(deal, tag, want)
  if want.close then return '' end
  if deal.closed ~= '' or tag.now >= deal.closes then return 'DEAL_OVER' end
  local other = want.opens ~= deal.opens or want.pass ~= deal.pass or want.terms ~= deal.terms
  if other and tag.now >= deal.opens then return 'DEAL_STARTED' end
  if want.stock < deal.stock then return 'STOCK_SHRINKS' end
  if want.closes <= want.opens then return 'CLOSES_EARLY' end
  return ''
end

-- Whoever is closed before his time is over at once; one that never opened keeps the times that were ordered.
local function close(deal, tag)
  if deal.closed == '' then
    if tag.now > deal.opens and tag.now < deal.closes then
      deal.closes = tag.now
    end
    deal.closed = string.format('%.0f', tag.now)
  end
end

-- Writes what is in force now, where it is other than before. A raise begins a new round.
local function put_in_force(keys, deal, want)
  local same = want.stock == deal.stock and want.opens == deal.opens and want.closes == deal.closes
  if same and want.closed == deal.closed and want.pass == deal.pass and want.terms == deal.terms then return end
  if want.stock > deal.stock then
    redis.call('HINCRBY', keys[2], 'round', 1)
  end
  redis.call('HINCRBY', keys[2], 'sequence', 1)
  redis.call('HSET', keys[2], 'stock', string.format('%d', want.stock), 'opens', string.format('%.0f', want.opens),
    'closes', string.format('%.0f', want.closes), 'closed', want.closed, 'pass', want.pass, 'terms', want.terms)
  announce(keys)
end

-- Decides on an order, all of it or nothing. The same one again is answered as it was; an older one is passed over. KEYS 1, 2.
-- ARGV  1 version  2 stock  3 opens  4 closes  5 pass  6 terms  7 "1" to close it for good; each empty to leave it as it is
-- ->    { "OK", now, why not or "", stock, opens, closes, pass, terms: all as they are in force }, { "FROZEN" },
--       { "ARCHIVED", now } or { "MISSING", now }
local function update(keys, args, tag)
  local deal = read_order(keys)
  local version, why = tonumber(args[1]), nil
  if version < deal.version then
    why = 'PASSED_OVER'
  elseif version == deal.version then
    -- A function of before keeps no decision, and knew of the stock alone. The version that a deal is put with has none.
    why = string.match(deal.decided, '^' .. args[1] .. ':(.*)$') or version > 1 and 'PASSED_OVER' or ''
  else
    local want = { stock = tonumber(args[2]) or deal.stock, opens = tonumber(args[3]) or deal.opens,
      closes = tonumber(args[4]) or deal.closes, pass = args[5] ~= '' and args[5] or deal.pass,
      terms = args[6] ~= '' and args[6] or deal.terms, close = args[7] == '1', closed = deal.closed }
    why = update_refusal(deal, tag, want)
    if want.close then close(want, tag) end
    redis.call('HSET', keys[2], 'version', args[1], 'decided', args[1] .. ':' .. why)
    if why == '' then
      put_in_force(keys, deal, want)
    end
    keep_time(keys[1], tag)
    deal = read_order(keys)
  end
  return { 'OK', tag.now, why, deal.stock, deal.opens, deal.closes, deal.pass, deal.terms }
end

-- Lets a deal go whose coupons are all over, and leaves a stub. It runs when memory is full, because it is what makes room.
-- ARGV  1 the deal's last entry in the journal: where another has followed, nothing happens
-- ->    { "OK", now }, { "NO", "STILL_OPEN" | "NEWER_ENTRY" }, { "FROZEN" }, { "ARCHIVED", now } or { "MISSING", now }
local function archive(keys, args, tag)
  local row = redis.call('HMGET', keys[2], 'closed', 'closes', 'entry')
  if row[1] == '' and tag.now < tonumber(row[2]) then return { 'NO', 'STILL_OPEN' } end
  if (row[3] or '0-0') ~= args[1] then return { 'NO', 'NEWER_ENTRY' } end
  redis.call('UNLINK', keys[2], keys[3], keys[4], keys[5])
  redis.call('HSET', keys[2], 'archived', string.format('%.0f', tag.now))
  redis.call('HSET', keys[3], ':', '')
  redis.call('HSET', keys[4], 'free', '0')
  redis.call('HSET', keys[5], ':', '')
  keep_time(keys[1], tag)
  announce(keys)
  return { 'OK', tag.now }
end

redis.register_function('promotion_put_3', fenced(put))
redis.register_function('promotion_arm_3', of_deal(arm))
redis.register_function('promotion_update_3', of_deal(update))
redis.register_function({ function_name = 'promotion_look_3', callback = of_deal(look), flags = { 'no-writes' } })
redis.register_function({ function_name = 'promotion_archive_3', callback = of_deal(archive), flags = { 'allow-oom' } })
