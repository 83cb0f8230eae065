-- How many records each status has, in the order of ranks. ARGV: the oldest time to count
expire(100)
local counts = {}
for rank = 0, #KIND do
  counts[rank + 1] = redis.call('ZCOUNT', INDEX .. rank, ARGV[1], '+inf')
end
return counts
