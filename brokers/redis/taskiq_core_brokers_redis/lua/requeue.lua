-- Puts dead letters back into their queues; answers how many. One whose task id is queued again stays dead.
-- ARGV: parts of id, 1 if with a new body, body
local done = 0
for at = 1, #ARGV, 3 do
  local entry = ARGV[at]
  local found = redis.call('XRANGE', DEAD, entry, entry)[1]
  if found then
    local fields = found[2]
    local body, id, queue, level = fields[2], fields[4], fields[6], fields[12]
    if redis.call('HEXISTS', IDS, id) == 0 then
      if ARGV[at + 1] == '1' then
        body = ARGV[at + 2]
      end
      open_level(queue, level)
      append(queue, level, id, body, '')
      redis.call('XDEL', DEAD, entry)
      done = done + 1
    end
  end
end
return done
