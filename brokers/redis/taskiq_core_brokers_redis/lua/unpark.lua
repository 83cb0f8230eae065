-- Delivers some of those that are parked for texts, the eldest first, and at most 500 in all. Answers how many, and what is left
-- to do: the arguments of the next step but the first. Whoever is parked in the meantime has no part in that.
-- ARGV: consumer who calls (empty: no matter whether anybody would take them), parts of text, how many at most
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

-- Queues that are not paused and that somebody who is alive receives from: the caller's own are enough in most cases.
local known, receivers = {}, nil
local _, own, retired = registration(ARGV[1])
for _, queue in ipairs(retired and {} or own) do
  known[queue] = redis.call('SISMEMBER', PAUSED, queue) == 0
end

local function look_for_receivers()
  receivers = {}
  for _, consumer in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '(' .. now(), '+inf')) do
    if string.sub(consumer, 1, 1) ~= '~' then
      local _, queues, gone = registration(consumer)
      for _, queue in ipairs(gone and {} or queues) do
        receivers[queue] = true
      end
    end
  end
end

local function is_served(queue)
  if ARGV[1] == '' then
    return true
  end
  if known[queue] == nil then
    if not receivers then
      look_for_receivers()
    end
    known[queue] = receivers[queue] and redis.call('SISMEMBER', PAUSED, queue) == 0 or false
  end
  return known[queue]
end

-- Puts the first `count` of a page of a line that are served into `chosen`, of the others into `passed`; what is parked no more
-- is chosen, to be removed.
local function sort_out(members, count, chosen, passed)
  local ids = {}
  for place, member in ipairs(members) do
    ids[place] = string.match(member, ' (.*)$')
  end
  for place, at in ipairs(#ids > 0 and redis.call('HMGET', IDS, unpack(ids)) or {}) do
    local queue = string.match(at or '', '^due::(.*)$')
    local into = (not queue or is_served(queue)) and chosen or passed
    if #into < count then
      into[#into + 1] = members[place]
    end
  end
end

-- The line is looked through no further than its first 10,000: the rest have their turn when those before them have gone.
local function choose(line, count)
  local chosen, passed, from, page = {}, {}, 0, count
  repeat
    local members = redis.call('ZRANGE', line, from, from + page - 1)
    sort_out(members, count, chosen, passed)
    from, page = from + #members, 1000
  until #chosen == count or #members == 0 or from >= 10000
  for place = 1, math.min(#passed, count - #chosen) do
    chosen[#chosen + 1] = passed[place]
  end
  return chosen
end

for at = 2, #ARGV, 2 do
  local text = ARGV[at]
  local line = PARKED .. ':' .. text
  local count = math.min(ARGV[at + 1], redis.call('ZCARD', line))
  local before, goal = woken, woken + math.min(count, left)
  local first = redis.call('ZRANGE', line, 0, 0)[1]
  while woken < goal do
    local next = choose(line, goal - woken)
    if #next == 0 then
      break
    end
    for _, member in ipairs(next) do
      wake(string.match(member, ' (.*)$'), text)
    end
    redis.call('ZREM', line, unpack(next))
  end
  if first and redis.call('ZRANGE', line, 0, 0)[1] ~= first then
    time_first(text)
  end
  count = math.min(count - (woken - before), redis.call('ZCARD', line))
  if count > 0 then
    rest[#rest + 1] = text
    rest[#rest + 1] = count
  end
end
return {woken, rest}
