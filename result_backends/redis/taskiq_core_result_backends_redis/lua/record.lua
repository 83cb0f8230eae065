-- Folds transitions in. ARGV: ms that a record lives after this, packed list of {task id, steps...}
local ttl, batch = tonumber(ARGV[1]), cmsgpack.unpack(ARGV[2])
expire(2 * #batch + 200)

local ids = {}
for place, item in ipairs(batch) do
  ids[place] = item[1]
end
local bodies = redis.call('HMGET', BODIES, unpack(ids))
local moment = now()
local news, left, entered, touched = {}, {}, {}, {[BODIES] = true, [ENDS] = true}

local function move(id, from, to, score, same_score)
  touched[to] = true
  if from == to and same_score then
    return
  end
  if from and from ~= to then
    append(left, from, id)
  end
  append(entered, to, score, id)
end

for place, item in ipairs(batch) do
  local id, fold = item[1], {math.huge, false, 0, false, false, false, false, false, false, false}
  local seen, old_status, old_name
  if bodies[place] then
    fold = cmsgpack.unpack(bodies[place])
    seen, old_status, old_name = fold[1], indexes_of(fold)
  end
  for number = 2, #item do
    add_step(fold, item[number])
  end
  local by_status, by_name = indexes_of(fold)
  move(id, old_status, by_status, fold[1], seen == fold[1])
  move(id, old_name, by_name, fold[1], seen == fold[1])
  append(news, BODIES, id, cmsgpack.pack(fold))
  append(news, ENDS, moment + 1000 * ttl, id)
end

redis.call('HSET', BODIES, unpack(news[BODIES]))
redis.call('ZADD', ENDS, unpack(news[ENDS]))
for index, members in pairs(left) do
  redis.call('ZREM', index, unpack(members))
end
for index, members in pairs(entered) do
  redis.call('ZADD', index, unpack(members))
end
-- No key lives less than the records in it: whoever ceases to write leaves nothing behind.
for key in pairs(touched) do
  keep(key, ttl)
end
return 1
