-- Records. ":records" leads from a task's id to its fold; ":records:ends" has the ids by the time when they expire. Each record is
-- in two indexes, by the time when its task was first seen: that of its status, and that of its status and name. The parts of a
-- record come and go in one step, so that the indexes can be counted and read without a look at the records. Scores are whole
-- microseconds: a small sorted set is searched entry by entry, and Redis is quick at that with integers only.
--
-- A fold is as in taskiq_core.stores.record_fold, and each of its parts is a maximum or minimum:
--   1 first seen, 2 queued at or false, 3 attempts; then the newest of each kind, {at, rank, value} or false:
--   4 opening, 5 start, 6 ending, 7 task name, 8 queue, 9 worker, 10 error
-- A rank is a status: 0 PENDING, 1 SCHEDULED, 2 RUNNING, 3 RETRYING, 4 to 7 the final ones.
local BODIES, ENDS, INDEX = root .. ':records', root .. ':records:ends', root .. ':records:by:'
local OPENING, START, ENDING, NAME = 4, 5, 6, 7
local KIND = {[0] = OPENING, OPENING, START, OPENING, ENDING, ENDING, ENDING, ENDING}

-- As sorted sets order members of one score. Lua's own order is that of the server's locale.
local function precedes(one, other)
  for place = 1, math.min(#one, #other) do
    local a, b = string.byte(one, place), string.byte(other, place)
    if a ~= b then
      return a < b
    end
  end
  return #one < #other
end

local function is_later(at, rank, value, known)
  if at ~= known[1] or rank ~= known[2] then
    return at > known[1] or (at == known[1] and rank > known[2])
  end
  return precedes(known[3], value)
end

local function note(fold, place, at, rank, value)
  if not fold[place] or is_later(at, rank, value, fold[place]) then
    fold[place] = {at, rank, value}
  end
end

-- `step` is {at, rank, attempt, task name, queue, worker, error}, with 0 and '' for what it does not know.
local function add_step(fold, step)
  local at, rank = step[1], step[2]
  fold[1] = math.min(fold[1], at)
  if rank < 2 then
    fold[2] = math.min(fold[2] or at, at)
  end
  fold[3] = math.max(fold[3], step[3])
  note(fold, KIND[rank], at, rank, '')
  for place = 4, 7 do
    if step[place] ~= '' then
      note(fold, place + 3, at, rank, step[place])
    end
  end
end

local function is_current(step, opening)
  return step and (not opening or step[1] > opening[1] or (step[1] == opening[1] and step[2] >= opening[2]))
end

local function rank_of(fold)
  local opening = fold[OPENING]
  if is_current(fold[ENDING], opening) then
    return fold[ENDING][2]
  end
  return (is_current(fold[START], opening) and fold[START] or opening)[2]
end

local function indexes_of(fold)
  local by_status = INDEX .. rank_of(fold)
  return by_status, by_status .. ':' .. (fold[NAME] and fold[NAME][3] or '')
end

local function score_of(fold)
  return math.floor(fold[1] * 1e6)
end

local function append(lists, name, item)
  local list = lists[name]
  if list then
    list[#list + 1] = item
  else
    lists[name] = {item}
  end
end

-- `bodies` are those of the ids, false where there is none.
local function delete(ids, bodies)
  if #ids == 0 then
    return 0
  end
  local gone = {}
  for place, id in ipairs(ids) do
    if bodies[place] then
      local by_status, by_name = indexes_of(cmsgpack.unpack(bodies[place]))
      append(gone, by_status, id)
      append(gone, by_name, id)
    end
  end
  for index, members in pairs(gone) do
    redis.call('ZREM', index, unpack(members))
  end
  redis.call('HDEL', BODIES, unpack(ids))
  redis.call('ZREM', ENDS, unpack(ids))
  return #ids
end

local function bodies_of(ids)
  return #ids == 0 and {} or redis.call('HMGET', BODIES, unpack(ids))
end

-- Deletes up to `limit` records that have expired.
local function expire(limit)
  local ids = redis.call('ZRANGEBYSCORE', ENDS, '-inf', now(), 'LIMIT', 0, limit)
  return delete(ids, bodies_of(ids))
end
