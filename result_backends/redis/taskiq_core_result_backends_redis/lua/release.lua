-- Gives claims up. ARGV: pairs of key, owner
for place = 1, #ARGV, 2 do
  local key = root .. ':claim:' .. ARGV[place]
  if redis.call('GET', key) == ARGV[place + 1] then
    redis.call('DEL', key)
  end
end
return 1
