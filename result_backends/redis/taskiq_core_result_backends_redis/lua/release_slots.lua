-- Gives slots up. ARGV: pairs of key, holder
for place = 1, #ARGV, 2 do
  redis.call('ZREM', root .. ':slots:' .. ARGV[place], ARGV[place + 1])
end
return 1
