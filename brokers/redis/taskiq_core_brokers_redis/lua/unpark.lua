-- Delivers some of those that are parked for texts, the eldest first, and at most 500 in all. Answers how many, and what is left
-- to do: the arguments of the next step. Whoever is parked in the meantime has no part in that.
-- ARGV: parts of text, how many at most
local left, rest, woken = 500, {}, 0
may_exceed_memory()

local function wake(text, id)
  local queue = string.match(redis.call('HGET', IDS, id) or '', '^due::(.*)$')
  local level, meta, body
  if queue then
    level, meta, body = take_delayed(queue, id)
  end
  if level then
    open_level(queue, 'back')
    append(queue, 'back', id, body, meta)
    woken = woken + 1
  else
    strike_from_parked(text, id)
  end
end

for at = 1, #ARGV, 2 do
  local text = ARGV[at]
  local list = PARKED .. ':' .. text
  local count = math.min(ARGV[at + 1], redis.call('ZCARD', list))
  local step = math.min(count, left)
  if step > 0 then
    for _, id in ipairs(redis.call('ZRANGE', list, 0, step - 1)) do
      wake(text, id)
    end
    left = left - step
  end
  if count > step then
    rest[#rest + 1] = text
    rest[#rest + 1] = count - step
  end
end
return {woken, rest}
