-- What a user holds of a deal, and what became of it.
--
-- held (KEYS 3):  user -> "<sign><rank>:<seat>:<milliseconds>", with the sign
--                  ""   issued
--                  "0"  once redeemed: `used` has more of it. (Functions of before read the same rank, and give it back
--                       to nobody.)
--                  "-"  given back
-- used (KEYS 5):  "<rank>" -> "<version>:<order>:<user>", from the first order on that redeemed it; no order: it was restored
--                "<rank>/<order>" -> "1", an order that has restored it, or came to restore it before it redeemed it
--                "<rank>/" -> how many orders have tried
-- Neither ":" nor "/" can stand in an id.

-- A value of `held`, or nil where it is not one.
local function parse_held(value)
  local sign, rank, seat, at = string.match(value or '', '^([%-0]?)(%d+):(%d+):(%d+)$')
  return rank and { gone = sign == '-', used = sign == '0', rank = rank, seat = seat, at = at }
end

-- What orders have done to a rank: its version, who has redeemed it (or ""), and whose it is (or "", where no order ever has).
local function read_used(keys, rank)
  local version, order, user = string.match(redis.call('HGET', keys[5], rank) or '1::', '^(%d+):(.*):(.*)$')
  return { version = tonumber(version), order = order, user = user }
end

local function write_used(keys, rank, used)
  redis.call('HSET', keys[5], rank, string.format('%d:%s:%s', used.version, used.order, used.user))
end

-- Whether a coupon that was claimed at an instant is over. The terms are what prize.rs writes.
local function is_expired(terms, at, now)
  local discount = cjson.decode(terms).prize.discount
  local seconds = discount and discount.valid_for_seconds
  return type(seconds) == 'number' and tonumber(at) + seconds * 1000 <= now
end
