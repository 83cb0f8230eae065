-- ARGV: queue
redis.call('SREM', PAUSED, ARGV[1])
nudge(ARGV[1])
return 1
