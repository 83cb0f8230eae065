-- Steps of settling that most batches do without.
--   d, stream, entry, reason, body or the old one if empty, 1 if with a detail, detail    to the dead letters
--   t, ms    and there none that are older
--   b, stream, entry, ms to wait, 1 if in its old place, 1 if with a new body, body    to be delivered again
--   p, stream, entry, ms to wait as the first in its line, what for, 1 if with a new body, body    parked
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
  local stream, entry, delay, text = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local queue, own, id, body, meta = take_back(stream, entry, ARGV[at + 5], ARGV[at + 6])
  if queue then
    local line = PARKED .. ':' .. text
    local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2]
    redis.call('ZADD', line, (last or 0) + 1, delay .. ' ' .. id)
    redis.call('ZADD', PARKED, 0, text)
    postpone(queue, own, id, body, meta, last and math.huge or now() + delay, text, delay)
  end
  return 7
end
