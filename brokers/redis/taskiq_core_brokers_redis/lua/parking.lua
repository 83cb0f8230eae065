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
