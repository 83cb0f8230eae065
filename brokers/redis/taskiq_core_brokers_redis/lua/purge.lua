-- Deletes some of what waits in a queue; answers how many. ARGV: queue, how many at most
local queue, left = ARGV[1], tonumber(ARGV[2])
local gone = 0
for _, level in ipairs(LEVELS) do
  local stream = key(queue, level)
  if redis.call('EXISTS', stream) == 1 and left > 0 then
    for _, entry in ipairs(redis.call('XRANGE', stream, '(' .. last_delivered(stream), '+', 'COUNT', left)) do
      redis.call('XDEL', stream, entry[1])
      redis.call('HDEL', IDS, entry[2][4])
      gone, left = gone + 1, left - 1
    end
  end
end
if left > 0 then
  for _, id in ipairs(redis.call('ZRANGE', key(queue, 'due'), 0, left - 1)) do
    remove_delayed(queue, id)
    gone = gone + 1
  end
end
return gone
