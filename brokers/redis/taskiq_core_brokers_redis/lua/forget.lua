-- Moves entries to a name of the same consumer whose lease will end soon, as nobody renews it.
-- ARGV: consumer, lease in ms, parts of: stream, n, n entries
local consumer = ARGV[1]
local generation, queues = registration(consumer)
if not generation then
  return 0
end
may_exceed_memory()
local moment = now()
local name = forgetful(consumer, math.floor(moment / ARGV[2]))
register(name, '1', queues)
redis.call('ZADD', LEASES, moment + ARGV[2], name)
local at = 3
while at <= #ARGV do
  local stream, count = ARGV[at], tonumber(ARGV[at + 1])
  for place = at + 2, at + 1 + count do
    redis.call('XCLAIM', stream, GROUP, member_of(name, '1'), 0, ARGV[place], 'JUSTID')
  end
  at = at + 2 + count
end
return 1
