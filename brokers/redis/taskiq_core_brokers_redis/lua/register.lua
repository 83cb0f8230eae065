-- Registers a consumer under a new generation. What it held under an older one and knows of, it keeps; the rest, which the server
-- sent to it over a connection that broke, is given back. A generation that is not newer comes late and changes nothing.
-- ARGV: consumer, generation, lease in ms, n, n queues, parts of: stream, n, n entries
local consumer, new = ARGV[1], ARGV[2]
local count = tonumber(ARGV[4])
local old, old_queues = registration(consumer)
if old and tonumber(old) >= tonumber(new) then
  return 0
end
may_exceed_memory()
if old then
  local at = 5 + count
  while at <= #ARGV do
    local stream, entries = ARGV[at], tonumber(ARGV[at + 1])
    local mine = {}
    for _, pending in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', 100000, member_of(consumer, old))) do
      mine[pending[1]] = true
    end
    for place = at + 2, at + 1 + entries do
      if mine[ARGV[place]] then
        redis.call('XCLAIM', stream, GROUP, member_of(consumer, new), 0, ARGV[place], 'JUSTID')
      end
    end
    at = at + 2 + entries
  end
  give_back(old_queues, member_of(consumer, old), 0, {})
end
register(consumer, new, {unpack(ARGV, 5, 4 + count)})
renew(consumer, ARGV[3])
return 1
