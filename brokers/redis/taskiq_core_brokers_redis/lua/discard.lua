-- Deletes messages that wait; answers with the ids of those that did. ARGV: task ids
local function deleted(id, place)
  local queue = string.match(place, '^due::(.*)$')
  if queue then
    return remove_delayed(queue, id)
  end
  local level, entry, own = string.match(place, '^(%w+):([%d-]+):(.*)$')
  local stream = key(own, level)
  if redis.call('EXISTS', stream) == 1 and #redis.call('XPENDING', stream, GROUP, entry, entry, 1) == 1 then
    return false
  end
  redis.call('HDEL', IDS, id)
  return redis.call('XDEL', stream, entry) == 1
end

local gone = {}
for _, id in ipairs(ARGV) do
  local place = redis.call('HGET', IDS, id)
  if place and deleted(id, place) then
    gone[#gone + 1] = id
  end
end
return gone
