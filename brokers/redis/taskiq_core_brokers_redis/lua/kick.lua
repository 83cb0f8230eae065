-- Takes a batch of messages, each id once while it waits or runs. A batch that is sent again after its answer was lost is
-- known by the number that its sender gave it.
-- ARGV: sender, number, then parts of: queue, level, delay in ms, n, n times (id, body)
local sender, number = root .. ':sender:' .. ARGV[1], tonumber(ARGV[2])
if tonumber(redis.call('GET', sender) or '0') >= number then
  return 0
end
local at, moment = 3, nil
while at <= #ARGV do
  local queue, level, delay, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  at = at + 4
  if delay == 0 then
    open_level(queue, level)
  else
    moment = moment or now()
  end
  for place = at, at + 2 * count - 2, 2 do
    local id, body = ARGV[place], ARGV[place + 1]
    if redis.call('HEXISTS', IDS, id) == 0 then
      if delay == 0 then
        append(queue, level, id, body, '')
      else
        postpone(queue, level, id, body, '', moment + delay)
      end
    end
  end
  at = at + 2 * count
end
redis.call('SET', sender, ARGV[2], 'PX', 3600000)
return 1
