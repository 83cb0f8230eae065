-- Registering consumers, and keeping them.

local function register(consumer, generation, queues, retired)
  redis.call('HSET', CONSUMERS, consumer, cmsgpack.pack({generation, queues, retired}))
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
