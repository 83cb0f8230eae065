-- Adds to counters; answers their values, as text: Lua's numbers have 53 bits. ARGV: ms to live, pairs of key, amount
local answers = {}
for place = 2, #ARGV, 2 do
  local key = root .. ':counter:' .. ARGV[place]
  redis.call('INCRBY', key, ARGV[place + 1])
  redis.call('PEXPIRE', key, ARGV[1])
  answers[#answers + 1] = redis.call('GET', key)
end
return answers
