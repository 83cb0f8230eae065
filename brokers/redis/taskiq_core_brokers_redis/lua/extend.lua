-- Renews the lease of a consumer; answers with those of the named entries that it does not hold (any more).
-- ARGV: consumer, lease in ms, parts of: stream, n, n entries
local consumer = ARGV[1]
local generation = registration(consumer)
local lost = {}
may_exceed_memory()
if generation then
  renew(consumer, ARGV[2])
end
local at = 3
while at <= #ARGV do
  local stream, count = ARGV[at], tonumber(ARGV[at + 1])
  local mine = {}
  if generation then
    for _, pending in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', 100000, member_of(consumer, generation))) do
      mine[pending[1]] = true
    end
  end
  for place = at + 2, at + 1 + count do
    if not mine[ARGV[place]] then
      lost[#lost + 1] = stream .. ' ' .. ARGV[place]
    end
  end
  at = at + 2 + count
end
return lost
