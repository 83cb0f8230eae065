-- Folds transitions in. ARGV: ms that a record lives after this, packed list of {task id, steps...}
local ttl, batch = tonumber(ARGV[1]), cmsgpack.unpack(ARGV[2])
expire(2 * #batch + 50)

local ids = {}
for place, item in ipairs(batch) do
  ids[place] = item[1]
end
local bodies = bodies_of(ids)
local expiry = now() + 1000 * ttl
local news, ends, left, entered, touched = {}, {}, {}, {}, {[BODIES] = true, [ENDS] = true}

local function move(id, from, to, old_score, score)
  touched[to] = true
  if from == to and old_score == score then
    return
  end
  if from and from ~= to then
    append(left, from, id)
  end
  append(entered, to, score)
  append(entered, to, id)
end

for place, item in ipairs(batch) do
  local id, fold = item[1], {math.huge, false, 0, false, false, false, false, false, false, false}
  local old_score, old_status, old_name
  if bodies[place] then
    fold = cmsgpack.unpack(bodies[place])
    old_score, old_status, old_name = score_of(fold), indexes_of(fold)
  end
  for number = 2, #item do
    add_step(fold, item[number])
  end
  local by_status, by_name = indexes_of(fold)
  move(id, old_status, by_status, old_score, score_of(fold))
  move(id, old_name, by_name, old_score, score_of(fold))
  news[2 * place - 1], news[2 * place] = id, cmsgpack.pack(fold)
  ends[2 * place - 1], ends[2 * place] = expiry, id
end

redis.call('HSET', BODIES, unpack(news))
redis.call('ZADD', ENDS, unpack(ends))
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
