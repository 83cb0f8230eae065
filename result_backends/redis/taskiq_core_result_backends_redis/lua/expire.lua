-- Deletes records that have expired; answers how many. ARGV: how many at most
return expire(tonumber(ARGV[1]))
