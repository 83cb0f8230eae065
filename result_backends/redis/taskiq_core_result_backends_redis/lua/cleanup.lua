-- Deletes records that ended long ago; answers how many it looked at and how many it deleted.
-- ARGV: rank, age of their end in seconds, how many of the oldest to skip, how many to look at
local cutoff = now() / 1e6 - tonumber(ARGV[2])
-- No task ends before it is first seen.
local ids = redis.call('ZRANGEBYSCORE', INDEX .. ARGV[1], '-inf', cutoff * 1e6, 'LIMIT', ARGV[3], ARGV[4])
local old, old_bodies = {}, {}
for place, body in ipairs(bodies_of(ids)) do
  if body and cmsgpack.unpack(body)[ENDING][1] < cutoff then
    old[#old + 1] = ids[place]
    old_bodies[#old] = body
  end
end
return {#ids, delete(old, old_bodies)}
