-- Sets values, then deletes others. ARGV: ms to live or 0 for ever, how many are set, pairs of key, value, keys to delete
local ttl, last = tonumber(ARGV[1]), 2 + 2 * tonumber(ARGV[2])
for place = 3, last, 2 do
  local key = root .. ':value:' .. ARGV[place]
  if ttl > 0 then
    redis.call('SET', key, ARGV[place + 1], 'PX', ARGV[1])
  else
    redis.call('SET', key, ARGV[place + 1])
  end
end
for place = last + 1, #ARGV do
  redis.call('UNLINK', root .. ':value:' .. ARGV[place])
end
return 1
