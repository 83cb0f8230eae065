-- Delivers up to `limit` messages, highest priority first, after making ready what is due and what the dead held.
-- ARGV: consumer, generation, limit, how many of them not from the highest priority, lease in ms,
--   two numbers that go up: with every claim, and with every one that takes from lower priorities; queues
-- Answers nil if the consumer has lost its lease; else ms until something may be ready by itself, the streams to wait for,
-- what XREADGROUP said of each stream that had something, and how many streams there are but for those of "front".
local consumer, generation, left, low = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local turn = tonumber(ARGV[6])
local moment = now()
local lease = redis.call('ZSCORE', LEASES, consumer)
if not lease or tonumber(lease) <= moment or registration(consumer) ~= generation then
  return false
end
local member = member_of(consumer, generation)
may_exceed_memory()

for _, dead in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', moment, 'LIMIT', 0, 4)) do
  bury(dead, {})
end

local function promote(queue)
  local waiting, later = key(queue, 'due'), key(queue, 'later')
  local due = redis.call('ZRANGEBYSCORE', waiting, '-inf', moment, 'LIMIT', 0, 500)
  if #due == 0 then
    return
  end
  for _, id in ipairs(due) do
    local packed = redis.call('HGET', later, id)
    if packed then
      local level, meta, body, text, delay = unpack(cmsgpack.unpack(packed))
      if text then
        level = 'front'
        leave_line(text, delay, id)
      end
      open_level(queue, level)
      append(queue, level, id, body, meta)
    end
  end
  redis.call('ZREM', waiting, unpack(due))
  redis.call('HDEL', later, unpack(due))
end

-- Members of the group that nobody has registered: readers whose connection was lost just when the server answered them.
local function sweep(queue, level)
  local stream = key(queue, level)
  if redis.call('EXISTS', stream) == 0 then
    return
  end
  for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', stream, GROUP)) do
    local name, generation = string.match(info[2], '^(.*)%.(%d+)$')
    if not name or registration(name) ~= generation then
      give_back_from(queue, level, info[2], 0, {})
    end
  end
end

-- What the names of the streams of each queue begin with, of those that are not paused.
local open = {}
for place = 8, #ARGV do
  local queue = ARGV[place]
  promote(queue)
  if redis.call('SISMEMBER', PAUSED, queue) == 0 then
    open[#open + 1] = key(queue, '')
  end
end
for place = 8, #ARGV do
  if redis.call('SET', key(ARGV[place], 'swept'), '1', 'NX', 'PX', math.ceil(ARGV[5] / 2)) then
    for _, level in ipairs(LEVELS) do
      sweep(ARGV[place], level)
    end
    sweep(ARGV[place], 'nudge')
  end
end

-- Queues take turns within a priority; `lower` are the places of all that is not of the highest priority.
local found, streams, lower, highest, fronts = {}, {}, {}, nil, 0
for _, level in ipairs(LEVELS) do
  for step = 0, #open - 1 do
    local stream = open[(turn + step) % #open + 1] .. level
    if level == 'back' then
      make_stream(stream)
      streams[#streams + 1] = stream
    elseif redis.call('EXISTS', stream) == 1 then
      streams[#streams + 1] = stream
      if level == 'front' then
        fronts = fronts + 1
      else
        highest = highest or level
        if level ~= highest then
          lower[#lower + 1] = stream
        end
      end
    end
  end
end

local function read(stream, count, into)
  local answer = redis.call('XREADGROUP', 'GROUP', GROUP, member, 'COUNT', count, 'STREAMS', stream, '>')
  if answer then
    into[#into + 1] = answer[1]
    return #answer[1][2]
  end
  return 0
end

local share = {}
for step = 0, #lower - 1 do
  if low > 0 then
    local taken = read(lower[(ARGV[7] + step) % #lower + 1], low, share)
    low, left = low - taken, left - taken
  end
end
for _, stream in ipairs(streams) do
  if left > 0 then
    left = left - read(stream, left, found)
  end
end
for _, answer in ipairs(share) do
  found[#found + 1] = answer
end
if #found > 0 then
  return {0, {}, found, #streams - fronts}
end

local first = tonumber(redis.call('ZRANGE', LEASES, 0, 0, 'WITHSCORES')[2])
for place = 8, #ARGV do
  local due = redis.call('ZRANGE', key(ARGV[place], 'due'), 0, 0, 'WITHSCORES')[2]
  first = math.min(first, tonumber(due or first))
  local stream = key(ARGV[place], 'nudge')
  make_stream(stream)
  streams[#streams + 1] = stream
end
return {math.max(1, first - moment), streams, {}, 0}
