-- Notes arrivals at a join; answers 1 to the call that completes it. ARGV: key, how many are expected, ms to live, members
-- ":join:<key>" has the members until they are complete, ":joined:<key>" remembers that they were.
may_exceed_memory()
local waiting, complete = root .. ':join:' .. ARGV[1], root .. ':joined:' .. ARGV[1]
if redis.call('PEXPIRE', complete, ARGV[3]) == 1 then
  return 0
end
for place = 4, #ARGV do
  redis.call('SADD', waiting, ARGV[place])
end
if redis.call('SCARD', waiting) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', waiting, ARGV[3])
  return 0
end
redis.call('UNLINK', waiting)
redis.call('SET', complete, '1', 'PX', ARGV[3])
return 1
