-- Takes a message out of those that are not due. Answers with its level, meta and body; nil if it is not among them.
local function take_delayed(queue, id)
  local later = key(queue, 'later')
  local packed = redis.call('HGET', later, id)
  redis.call('ZREM', key(queue, 'due'), id)
  if packed then
    redis.call('HDEL', later, id)
    local level, meta, body, text = unpack(cmsgpack.unpack(packed))
    if text then
      strike_from_parked(text, id)
    end
    return level, meta, body
  end
end
