-- What was sold most of all time, as PostgreSQL said it last: the second place to look, behind the memory of each process.
--
-- KEYS  1 top: {ranking:items:all-time}:top, a hash:
--   entries  JSON: [["tea",12],["cake",9]], the best first
--   as_of    everything that was committed in PostgreSQL before this instant is in it, in microseconds since 1970
--   put      when it was put here, in milliseconds since 1970, by the time of Redis
--   asked    when somebody was last told to ask PostgreSQL again
-- (now() stands in board.lua.)

-- What is known. Whoever finds it old first is told to ask PostgreSQL; others go on with what is known meanwhile.
-- ARGV  1 when it is old, in milliseconds  2 for how long whoever was told is waited for, in milliseconds
-- ->    { "OK", as_of, its age in milliseconds, 1 where this caller is to ask, else 0, entries }, or { "NONE" }
local function find_top(keys, args)
  local row = redis.call('HMGET', keys[1], 'entries', 'as_of', 'put', 'asked')
  if not row[1] then
    return { 'NONE' }
  end
  local time = now()
  local age, due = math.max(0, time - row[3]), 0
  if age >= tonumber(args[1]) and time - (row[4] or 0) >= tonumber(args[2]) then
    redis.call('HSET', keys[1], 'asked', string.format('%.0f', time))
    due = 1
  end
  return { 'OK', row[2], age, due, row[1] }
end

-- Puts what PostgreSQL has said, unless something newer is there. Tells whoever listens where it has changed: a hint, which may be
-- lost.
-- ARGV  1 as_of  2 entries  3 for how long it may be used, in milliseconds
-- ->    { "OK", 1 where it has changed, else 0 }, or { "OLD" }
local function put_top(keys, args)
  local row = redis.call('HMGET', keys[1], 'entries', 'as_of')
  if row[2] and tonumber(row[2]) > tonumber(args[1]) then
    return { 'OLD' }
  end
  local changed = row[1] ~= args[2]
  redis.call('HSET', keys[1], 'entries', args[2], 'as_of', args[1], 'put', string.format('%.0f', now()))
  redis.call('HDEL', keys[1], 'asked')
  redis.call('PEXPIRE', keys[1], args[3])
  local channel = string.gsub(keys[1], ':top$', ':changes')
  if changed and redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2] > 0 then
    redis.call('SPUBLISH', channel, args[1])
  end
  return { 'OK', changed and 1 or 0 }
end

redis.register_function({ function_name = 'ranking_find_top_1', callback = find_top })
redis.register_function({ function_name = 'ranking_put_top_1', callback = put_top })
