-- Renews the lease of a consumer; answers with those of the named entries that it does not hold (any more). What it holds, does
-- not name and must have known of for a while, it has dropped: that is given back.
-- ARGV: consumer, lease in ms, ms after which it must have known, parts of: stream, n, n entries
local consumer, lease, patience = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local generation, queues = registration(consumer)
local named = {}
local at = 4
while at <= #ARGV do
  local stream, count = ARGV[at], tonumber(ARGV[at + 1])
  named[stream] = {}
  for place = at + 2, at + 1 + count do
    named[stream][ARGV[place]] = true
  end
  at = at + 2 + count
end
if generation then
  may_exceed_memory()
  renew(consumer, lease)
  for _, queue in ipairs(queues) do
    for _, level in ipairs(LEVELS) do
      local stream = key(queue, level)
      local known = named[stream] or {}
      if redis.call('EXISTS', stream) == 1 then
        for _, pending in ipairs(redis.call('XPENDING', stream, GROUP, '-', '+', 100000, member_of(consumer, generation))) do
          if known[pending[1]] then
            known[pending[1]] = nil
          elseif pending[3] > patience then
            give_back_entry(queue, level, pending[1], 0, {})
          end
        end
      end
    end
  end
end
local lost = {}
for stream, entries in pairs(named) do
  for entry in pairs(entries) do
    lost[#lost + 1] = stream .. ' ' .. entry
  end
end
return lost
