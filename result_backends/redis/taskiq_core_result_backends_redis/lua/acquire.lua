-- Takes or renews slots; answers 1 or 0 for each. ARGV: fours of key, holder, limit, ms to live
-- ":slots:<key>" has the holders by the time when they lose their slot.
may_exceed_memory()
local moment = now()
local answers = {}
for place = 1, #ARGV, 4 do
  local key, holder = root .. ':slots:' .. ARGV[place], ARGV[place + 1]
  local limit, ttl = tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', moment)
  if redis.call('ZCARD', key) < limit or redis.call('ZSCORE', key, holder) then
    redis.call('ZADD', key, moment + 1000 * ttl, holder)
    keep(key, ttl + 1)
    answers[#answers + 1] = 1
  else
    answers[#answers + 1] = 0
  end
end
return answers
