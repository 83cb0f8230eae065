-- The newest records of some indexes, merged: id, fold, id, fold, ...
-- ARGV: how many, the newest time to show, the id to stop before at that time or '', the oldest time to show, indexes
local limit, newest, border, oldest = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
expire(100)

local function read(index)
  local found, limits = {}, {newest, oldest}
  if border ~= '' then
    limits[1] = '(' .. newest
    for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', index, newest, newest)) do
      if precedes(id, border) then
        found[#found + 1] = {tonumber(newest), id}
      end
    end
  end
  local older = redis.call('ZREVRANGEBYSCORE', index, limits[1], limits[2], 'WITHSCORES', 'LIMIT', 0, limit)
  for place = 1, #older, 2 do
    found[#found + 1] = {tonumber(older[place + 1]), older[place]}
  end
  return found
end

local sources, places = {}, {}
for place = 5, #ARGV do
  sources[#sources + 1] = read(INDEX .. ARGV[place])
  places[#sources] = 1
end

local ids = {}
while #ids < limit do
  local best, first
  for number, source in ipairs(sources) do
    local head = source[places[number]]
    if head and (not best or head[1] > best[1] or (head[1] == best[1] and precedes(best[2], head[2]))) then
      best, first = head, number
    end
  end
  if not best then
    break
  end
  ids[#ids + 1] = best[2]
  places[first] = places[first] + 1
end

local answer = {}
for _, id in ipairs(ids) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call('HGET', BODIES, id)
end
return answer
