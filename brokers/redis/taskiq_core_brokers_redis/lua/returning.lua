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

-- A consumer is registered with its generation and its queues. In the group it is called by name and generation.
local function registration(consumer)
  local record = redis.call('HGET', CONSUMERS, consumer)
  if not record then
    return nil, {}
  end
  return unpack(cmsgpack.unpack(record))
end

local function register(consumer, generation, queues)
  redis.call('HSET', CONSUMERS, consumer, cmsgpack.pack({generation, queues}))
end

local function member_of(consumer, generation)
  return consumer .. '.' .. generation
end

local function strike_out(consumer)
  redis.call('ZREM', LEASES, consumer)
  redis.call('HDEL', CONSUMERS, consumer)
end

-- Renews a lease. Whoever was cut off until its own lease had ended is not the only one, perhaps: the others get as long to come
-- back as it will have now, before they are taken for dead. Not again soon, or one that is always late would keep the dead alive.
local function renew(consumer, lease)
  local moment = now()
  local mine = redis.call('ZSCORE', LEASES, consumer)
  local late = mine and tonumber(mine) <= moment
  if late and redis.call('SET', root .. ':reprieve', '1', 'NX', 'PX', 4 * lease) then
    for _, other in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', moment)) do
      redis.call('ZADD', LEASES, moment + lease, other)
    end
  end
  redis.call('ZADD', LEASES, moment + lease, consumer)
end

-- What a consumer has forgotten is held under other names, whose end is nobody's death: one for each span of a lease, so that
-- what it forgets later keeps nothing from coming back. The third is free again when its turn comes.
local function forgetful(consumer, span)
  return '~' .. (span % 3) .. consumer
end

local function bury(consumer, accused)
  local generation, queues = registration(consumer)
  if generation then
    local died = string.sub(consumer, 1, 1) == '~' and 0 or 1
    give_back(queues, member_of(consumer, generation), died, accused)
  end
  strike_out(consumer)
end
