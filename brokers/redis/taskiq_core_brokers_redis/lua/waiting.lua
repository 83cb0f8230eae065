-- What waits in a queue: the ready in their order, then the parked and the delayed. Answers with the id of each, its body, its
-- priority, and the ms until it is due, or -1. ARGV: queue, how many at most, ids that are not wanted
local queue, left, page = ARGV[1], tonumber(ARGV[2]), 100
local found, shown, moment = {}, {}, now()
for place = 3, #ARGV do
  shown[ARGV[place]] = true
end

local function show(id, body, meta, level, wait)
  if left > 0 and id and id ~= '' and not shown[id] then
    local _, _, _, own = read_meta(meta, level)
    found[#found + 1] = {id, body, own, wait}
    left = left - 1
  end
end

for _, level in ipairs(LEVELS) do
  local stream = key(queue, level)
  if redis.call('EXISTS', stream) == 1 then
    local last, entries = last_delivered(stream), nil
    repeat
      entries = left > 0 and redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', page) or {}
      for _, entry in ipairs(entries) do
        show(entry[2][4], entry[2][2], entry[2][6] or '', level, -1)
        last = entry[1]
      end
    until #entries < page
  end
end

local from, ids = 0, nil
repeat
  ids = left > 0 and redis.call('ZRANGE', key(queue, 'due'), from, from + page - 1, 'WITHSCORES') or {}
  for place = 1, #ids, 2 do
    local packed = not shown[ids[place]] and redis.call('HGET', key(queue, 'later'), ids[place])
    if packed then
      local level, meta, body, text = unpack(cmsgpack.unpack(packed))
      local wait = not text and tonumber(ids[place + 1]) - moment or 0
      show(ids[place], body, meta, level, wait > 0 and wait or -1)
    end
  end
  from = from + page
until #ids < 2 * page
return found
