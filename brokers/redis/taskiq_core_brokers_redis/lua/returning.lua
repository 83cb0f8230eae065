-- Giving back what a member of the group holds.

-- `died` is added to the deaths of the message; it is marked if its task id is in `accused`.
local function give_back_entry(queue, level, entry, died, accused)
  local stream = key(queue, level)
  local body, id, meta = look_up(stream, entry)
  remove(stream, entry)
  if body and level ~= 'nudge' then
    local attempts, deaths, marked, own = read_meta(meta, level)
    if accused[id] then
      marked = 1
    end
    open_level(queue, 'back')
    append(queue, 'back', id, body, string.format('%d %d %d %s', attempts + 1, deaths + died, marked, own))
  end
end

local function give_back_from(queue, level, member, died, accused)
  local stream = key(queue, level)
  if redis.call('EXISTS', stream) == 0 then
    return
  end
  repeat
    local held = redis.call('XPENDING', stream, GROUP, '-', '+', 500, member)
    for _, pending in ipairs(held) do
      give_back_entry(queue, level, pending[1], died, accused)
    end
  until #held < 500
  redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, member)
end

local function give_back(queues, member, died, accused)
  for _, queue in ipairs(queues) do
    for _, level in ipairs(LEVELS) do
      give_back_from(queue, level, member, died, accused)
    end
    give_back_from(queue, 'nudge', member, died, accused)
  end
end

-- A consumer is registered with its generation, its queues, and true if it receives no more. In the group it is called by name and generation.
local function registration(consumer)
  local record = redis.call('HGET', CONSUMERS, consumer)
  if not record then
    return nil, {}
  end
  return unpack(cmsgpack.unpack(record))
end

local function member_of(consumer, generation)
  return consumer .. '.' .. generation
end

local function strike_out(consumer)
  redis.call('ZREM', LEASES, consumer)
  redis.call('HDEL', CONSUMERS, consumer)
end

local function bury(consumer, accused)
  local generation, queues = registration(consumer)
  if generation then
    local died = string.sub(consumer, 1, 1) == '~' and 0 or 1
    give_back(queues, member_of(consumer, generation), died, accused)
  end
  strike_out(consumer)
end
