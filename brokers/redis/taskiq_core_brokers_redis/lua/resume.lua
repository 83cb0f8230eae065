-- ARGV: queue
if redis.call('SREM', PAUSED, ARGV[1]) == 1 then
  nudge(ARGV[1])
end
return 1
