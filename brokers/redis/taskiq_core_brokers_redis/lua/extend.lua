-- Renews the lease of a consumer; answers with those of the named entries that it does not hold (any more).
-- ARGV: consumer, generation, lease in ms, parts of: stream, n, n entries
local consumer, generation = ARGV[1], ARGV[2]
local alive = registration(consumer) == generation
local lost = {}
may_exceed_memory()
if alive then
  renew(consumer, ARGV[3])
end
local at = 4
while at <= #ARGV do
  local stream, count = ARGV[at], tonumber(ARGV[at + 1])
  local mine = {}
  if alive then
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
