-- A parked message is a delayed one that also waits for somebody to unpark it, by a text. The record of a parked message in
-- "later" ends with that text, ":parked:TEXT" has the ids that wait for it, in order, and ":parked" the texts, in that of words.
local PARKED = root .. ':parked'

local function strike_from_parked(text, id)
  local list = PARKED .. ':' .. text
  redis.call('ZREM', list, id)
  if redis.call('EXISTS', list) == 0 then
    redis.call('ZREM', PARKED, text)
  end
end

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
