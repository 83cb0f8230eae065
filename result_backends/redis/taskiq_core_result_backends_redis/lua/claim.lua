-- Claims keys; answers 1 or 0 for each. ARGV: triples of key, owner, ms to live
local answers = {}
for place = 1, #ARGV, 3 do
  local key = root .. ':claim:' .. ARGV[place]
  local owner = redis.call('GET', key)
  if not owner then
    redis.call('SET', key, ARGV[place + 1], 'PX', ARGV[place + 2])
  elseif owner == ARGV[place + 1] then
    redis.call('PEXPIRE', key, ARGV[place + 2])
  end
  answers[#answers + 1] = (not owner or owner == ARGV[place + 1]) and 1 or 0
end
return answers
