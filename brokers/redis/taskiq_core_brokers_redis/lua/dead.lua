-- The dead letters of one queue among the next 100 of all, newest first; answers with them, and with the last that was looked at.
-- ARGV: queue, where to begin, how many at most
local found, last = {}, false
for _, letter in ipairs(redis.call('XREVRANGE', DEAD, ARGV[2], '-', 'COUNT', 100)) do
  last = letter[1]
  if letter[2][6] == ARGV[1] then
    found[#found + 1] = letter
    if #found == tonumber(ARGV[3]) then
      break
    end
  end
end
return {found, last}
