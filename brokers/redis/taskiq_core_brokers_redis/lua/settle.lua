-- Carries out verdicts and stores results. A verdict on an entry that is gone changes nothing: whatever is delivered again is a
-- new entry, so that nobody who lost a message has a say in it.
-- ARGV: parts of
--   s, n, n times (task id, ms to live or 0, result)
--   a, stream, n, n entries, n task ids                       done
--   d, stream, entry, reason, body or the old one if empty, 1 if with a detail, detail    to the dead letters
--   t, ms    and there none that are older
--   b, stream, entry, ms to wait, 1 if in its old place, 1 if with a new body, body    to be delivered again
--   p, stream, entry, ms to wait for each in the line, what for, 1 if with a new body, body    parked
may_exceed_memory()
local at = 1
local steps = {}

function steps.s()
  local count = tonumber(ARGV[at + 1])
  for place = at + 2, at - 1 + 3 * count, 3 do
    local result = root .. ':result:' .. ARGV[place]
    if ARGV[place + 1] == '0' then
      redis.call('SET', result, ARGV[place + 2])
    else
      redis.call('SET', result, ARGV[place + 2], 'PX', ARGV[place + 1])
    end
  end
  return 2 + 3 * count
end

function steps.a()
  local stream, count = ARGV[at + 1], tonumber(ARGV[at + 2])
  local entries, ids = at + 3, at + 3 + count
  local gone = redis.call('XDEL', stream, unpack(ARGV, entries, ids - 1))
  redis.call('XACK', stream, GROUP, unpack(ARGV, entries, ids - 1))
  if gone == count then
    redis.call('HDEL', IDS, unpack(ARGV, ids, ids + count - 1))
  else
    local queue, level = queue_and_level(stream)
    for place = 0, count - 1 do
      if redis.call('HGET', IDS, ARGV[ids + place]) == level .. ':' .. ARGV[entries + place] .. ':' .. queue then
        redis.call('HDEL', IDS, ARGV[ids + place])
      end
    end
  end
  return 3 + 2 * count
end

function steps.d()
  local stream, entry = ARGV[at + 1], ARGV[at + 2]
  local queue, level = queue_and_level(stream)
  local body, id, meta = look_up(stream, entry)
  if body then
    local attempts, _, _, own = read_meta(meta, level)
    remove(stream, entry)
    redis.call('HDEL', IDS, id)
    if ARGV[at + 4] ~= '' then
      body = ARGV[at + 4]
    end
    local letter = {'b', body, 'i', id, 'q', queue, 'r', ARGV[at + 3], 'a', attempts + 1, 'l', own}
    if ARGV[at + 5] == '1' then
      letter[13], letter[14] = 'd', ARGV[at + 6]
    end
    redis.call('XADD', DEAD, '*', unpack(letter))
  end
  return 7
end

function steps.t()
  redis.call('XTRIM', DEAD, 'MINID', math.max(0, now() - ARGV[at + 1]))
  return 2
end

-- Takes an entry out of the hands of its holder; nil if it is gone.
local function take_back(stream, entry, changed, new)
  local body, id, meta = look_up(stream, entry)
  if body then
    local queue, level = queue_and_level(stream)
    local attempts, deaths, accused, own = read_meta(meta, level)
    remove(stream, entry)
    return queue, own, id, changed == '1' and new or body, string.format('%d %d %d %s', attempts + 1, deaths, accused, own)
  end
end

function steps.b()
  local stream, entry, delay = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local queue, own, id, body, meta = take_back(stream, entry, ARGV[at + 5], ARGV[at + 6])
  if queue then
    if delay > 0 then
      postpone(queue, own, id, body, meta, now() + delay)
    else
      local place = ARGV[at + 4] == '1' and 'back' or own
      open_level(queue, place)
      append(queue, place, id, body, meta)
    end
  end
  return 7
end

function steps.p()
  local stream, entry, pace, text = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local queue, own, id, body, meta = take_back(stream, entry, ARGV[at + 5], ARGV[at + 6])
  if queue then
    local list = PARKED .. ':' .. text
    local before = redis.call('ZCARD', list)
    local last = redis.call('ZRANGE', list, -1, -1, 'WITHSCORES')[2] or 0
    redis.call('ZADD', list, last + 1, id)
    redis.call('ZADD', PARKED, 0, text)
    postpone(queue, own, id, body, meta, now() + pace * (before + 1), text)
  end
  return 7
end

while at <= #ARGV do
  at = at + steps[ARGV[at]]()
end
return 1
