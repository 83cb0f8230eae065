-- Messages that are not due.

local function wait_until(queue, id, due)
  local waiting = key(queue, 'due')
  local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  redis.call('ZADD', waiting, due, id)
  if not first or due < tonumber(first) then
    nudge(queue)
  end
end

-- `text` and `delay` are those of a parked message; nil for others.
local function postpone(queue, level, id, body, meta, due, text, delay)
  redis.call('HSET', key(queue, 'later'), id, cmsgpack.pack({level, meta, body, text, delay}))
  redis.call('HSET', IDS, id, 'due::' .. queue)
  wait_until(queue, id, due)
end
