-- Delivers some of those that are parked for texts, the eldest first, and at most 500 in all. Answers how many, and what is left
-- to do: the arguments of the next step. Whoever is parked in the meantime has no part in that.
-- ARGV: parts of text, how many at most
local left, rest, woken = 500, {}, 0
may_exceed_memory()

local function wake(id, text)
  local queue = string.match(redis.call('HGET', IDS, id) or '', '^due::(.*)$')
  local packed = queue and redis.call('HGET', key(queue, 'later'), id)
  if packed then
    local _, meta, body, parked = unpack(cmsgpack.unpack(packed))
    if parked == text then
      redis.call('ZREM', key(queue, 'due'), id)
      redis.call('HDEL', key(queue, 'later'), id)
      open_level(queue, 'front')
      append(queue, 'front', id, body, meta)
      woken, left = woken + 1, left - 1
    end
  end
end

for at = 1, #ARGV, 2 do
  local text = ARGV[at]
  local line = PARKED .. ':' .. text
  local count = math.min(ARGV[at + 1], redis.call('ZCARD', line))
  local before, goal = woken, woken + math.min(count, left)
  while woken < goal do
    local next = redis.call('ZRANGE', line, 0, goal - woken - 1)
    if #next == 0 then
      break
    end
    for _, member in ipairs(next) do
      wake(string.match(member, ' (.*)$'), text)
    end
    redis.call('ZREMRANGEBYRANK', line, 0, #next - 1)
  end
  if goal > before then
    time_first(text)
  end
  count = math.min(count - (woken - before), redis.call('ZCARD', line))
  if count > 0 then
    rest[#rest + 1] = text
    rest[#rest + 1] = count
  end
end
return {woken, rest}
