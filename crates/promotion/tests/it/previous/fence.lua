-- Prelude of every library: the fence and the clock of a tag.
--
-- KEYS[1] of every function is the fence, `<namespace>{<service>:<tag>}:fence`, a hash:
--   node:<id>  present for each Redis node that may serve the tag
--   epoch      counts rebuilds and releases
--   journal    the journal's own id
--   now        the latest time given out under this tag, in milliseconds: time never goes back
--
-- A node that is not named (promoted, emptied, moved to without leave) serves nothing.

-- The tag, or nil where this node may not serve it.
local function open_tag(fence)
  local mine = redis.call('CLUSTER', 'MYID')
  local row = redis.call('HMGET', fence, 'node:' .. mine, 'epoch', 'now')
  if not row[1] then
    return nil
  end
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local last = tonumber(row[3])
  return { epoch = tonumber(row[2]), now = math.max(now, last), last = last }
end

-- Remembers the time that was given out. Only for functions that write.
local function keep_time(fence, tag)
  if tag.now > tag.last then
    redis.call('HSET', fence, 'now', string.format('%.0f', tag.now))
  end
end

-- Wraps a function of one tag: where this node may not serve it, the answer is FROZEN.
local function fenced(serve)
  return function(keys, args)
    local tag = open_tag(keys[1])
    if not tag then
      return { 'FROZEN' }
    end
    return serve(keys, args, tag)
  end
end
