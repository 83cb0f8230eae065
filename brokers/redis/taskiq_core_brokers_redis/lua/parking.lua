-- Parked messages stand in lines: ":parked:TEXT" has "DELAY ID" of those that wait for a text, in their order, and ":parked" the
-- texts, in that of words. They are delayed ones too, and the record of each in "later" ends with text and delay; but only the
-- first in a line has a time, which begins when it becomes the first.
local PARKED = root .. ':parked'

local function time_first(text)
  local line = PARKED .. ':' .. text
  while true do
    local first = redis.call('ZRANGE', line, 0, 0)[1]
    if not first then
      redis.call('ZREM', PARKED, text)
      return
    end
    local delay, id = string.match(first, '^(%d+) (.*)$')
    local queue = string.match(redis.call('HGET', IDS, id) or '', '^due::(.*)$')
    if queue then
      wait_until(queue, id, now() + delay)
      return
    end
    redis.call('ZREM', line, first)
  end
end

local function leave_line(text, delay, id)
  local line, member = PARKED .. ':' .. text, delay .. ' ' .. id
  local was_first = redis.call('ZRANGE', line, 0, 0)[1] == member
  redis.call('ZREM', line, member)
  if was_first then
    time_first(text)
  end
end
