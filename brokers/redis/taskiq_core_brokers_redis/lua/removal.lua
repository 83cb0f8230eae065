-- Deletes a message that is not due. False if it is not among those.
local function remove_delayed(queue, id)
  local later = key(queue, 'later')
  local packed = redis.call('HGET', later, id)
  redis.call('ZREM', key(queue, 'due'), id)
  redis.call('HDEL', IDS, id)
  if not packed then
    return false
  end
  redis.call('HDEL', later, id)
  local _, _, _, text, delay = unpack(cmsgpack.unpack(packed))
  if text then
    leave_line(text, delay, id)
  end
  return true
end
