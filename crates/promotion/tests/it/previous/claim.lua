-- Claims: a whole batch in one step, one journal entry for all that it issued. Who holds a coupon is asked first.
--
-- KEYS  1 fence  2 deal  3 held  4 seats  5 journal (see deal.lua)

local WON, HELD, RETURNED, SOLD_OUT, NOT_OPEN, CLOSED, FROZEN, PASS_REQUIRED, LATE, FULL = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

-- "<rank>:<seat>:<ms>" -> outcome, rank, ms
local function held_outcome(value)
  local gone, rank, at = string.match(value, '^(%-?)(%d+):%d+:(%d+)$')
  return gone == '-' and RETURNED or HELD, tonumber(rank), tonumber(at)
end

-- Why nobody new can win now, or nil. The order is the documented one.
local function refusal(deal, now, not_after, journal_bytes, journal_limit)
  if now > not_after then return LATE end
  if deal.frozen == '1' or deal.armed ~= '1' then return FROZEN end
  if now < deal.opens then return NOT_OPEN end
  if deal.closed ~= '' then return CLOSED end
  if deal.pass == '1' then return PASS_REQUIRED end
  if deal.seats - deal.free >= deal.stock then return SOLD_OUT end
  if journal_bytes >= journal_limit then return FULL end
  return nil
end

local function read_deal(keys)
  local row = redis.call('HMGET', keys[2], 'stock', 'issued', 'seats', 'opens', 'closes', 'armed', 'frozen', 'closed',
    'pass', 'round', 'sequence', 'terms')
  return { stock = tonumber(row[1]), issued = tonumber(row[2]), seats = tonumber(row[3]), opens = tonumber(row[4]),
    closes = tonumber(row[5]), armed = row[6], frozen = row[7], closed = row[8], pass = row[9],
    round = tonumber(row[10]), sequence = tonumber(row[11]), terms = row[12],
    free = tonumber(redis.call('HGET', keys[4], 'free')) }
end

-- The end is recorded once: a clock that goes back does not open the deal again.
local function close_if_due(keys, tag, deal)
  if deal.closed == '' and tag.now >= deal.closes then
    deal.closed = string.format('%.0f', tag.now)
    deal.sequence = deal.sequence + 1
    redis.call('HSET', keys[2], 'closed', deal.closed, 'sequence', string.format('%d', deal.sequence))
    keep_time(keys[1], tag)
  end
end

-- The next seat: one that was freed, else the next that was never taken. Only counted here, written by `issue`.
local function next_seat(keys, deal, taken)
  if deal.free > 0 then
    local seat = redis.call('HGET', keys[4], tostring(deal.free))
    taken[#taken + 1] = tostring(deal.free)
    deal.free = deal.free - 1
    return seat
  end
  deal.seats = deal.seats + 1
  return string.format('%d', deal.seats)
end

-- Writes what the batch issued, and its one journal entry.
local function issue(keys, args, tag, deal, won)
  redis.call('HSET', keys[3], unpack(won.held))
  if #won.taken > 0 then
    redis.call('HDEL', keys[4], unpack(won.taken))
    redis.call('HSET', keys[4], 'free', string.format('%d', deal.free))
  end
  local sequence = deal.sequence + 1
  redis.call('HSET', keys[2], 'issued', string.format('%d', deal.issued), 'seats', string.format('%d', deal.seats),
    'sequence', string.format('%d', sequence))
  redis.call('XADD', keys[5], '*', 'kind', 'claimed', 'deal', args[3], 'at', string.format('%.0f', tag.now),
    'rank', string.format('%d', won.first), 'users', table.concat(won.users, ','),
    'seats', table.concat(won.seats, ','), 'terms', deal.terms, 'trace', args[4])
  return sequence
end

-- Claims one coupon for each user.
-- ARGV  1 not_after (milliseconds)  2 how many bytes the journal may take  3 deal id  4 traceparent, or empty  5.. users
-- ->    { "OK", now, round, sequence, opens, terms, outcome, rank, ms, outcome, rank, ms, ... }, in the order of the
--       users; rank and ms are 0 where nothing is held. Or { "FROZEN" }, or { "MISSING", now }.
local function claim(keys, args, tag)
  local deal = read_deal(keys)
  close_if_due(keys, tag, deal)
  local bytes = redis.call('MEMORY', 'USAGE', keys[5])
  local users = { unpack(args, 5) }
  local known = #users > 0 and redis.call('HMGET', keys[3], unpack(users)) or {}
  local won = { first = deal.issued + 1, users = {}, seats = {}, taken = {}, held = {} }
  local reply = { 'OK', tag.now, deal.round, 0, deal.opens, deal.terms }
  local mine = {}
  for i, user in ipairs(users) do
    local value = known[i] or mine[user]
    local outcome, rank, at = nil, 0, 0
    if value then
      outcome, rank, at = held_outcome(value)
    else
      outcome = refusal(deal, tag.now, tonumber(args[1]), bytes, tonumber(args[2]))
    end
    if not outcome then
      local seat = next_seat(keys, deal, won.taken)
      deal.issued = deal.issued + 1
      outcome, rank, at = WON, deal.issued, tag.now
      mine[user] = string.format('%d:%s:%.0f', rank, seat, at)
      won.users[#won.users + 1], won.seats[#won.seats + 1] = user, seat
      won.held[#won.held + 1], won.held[#won.held + 2] = user, mine[user]
    end
    reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = outcome, rank, at
  end
  if #won.users > 0 then
    deal.sequence = issue(keys, args, tag, deal, won)
  end
  -- Who was told that it is too late must not find it earlier afterwards.
  if #won.users > 0 or tag.now > tonumber(args[1]) then
    keep_time(keys[1], tag)
  end
  reply[4] = deal.sequence
  return reply
end

-- What one user holds. KEYS 1, 2 and 3.
-- ARGV  1 user
-- ->    { "OK", now, terms, outcome, rank, ms } with outcome 0 where nothing is held, { "FROZEN" }, { "MISSING", now }
local function find(keys, args, tag)
  local terms = redis.call('HGET', keys[2], 'terms')
  local value = redis.call('HGET', keys[3], args[1])
  if not value then
    return { 'OK', tag.now, terms, 0, 0, 0 }
  end
  return { 'OK', tag.now, terms, held_outcome(value) }
end

redis.register_function('promotion_claim_2', of_deal(claim))
redis.register_function({ function_name = 'promotion_find_2', callback = of_deal(find), flags = { 'no-writes' } })
