-- ARGV: queue
may_exceed_memory()
redis.call('SADD', PAUSED, ARGV[1])
return 1
