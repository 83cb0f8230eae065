-- Pauses or resumes a schedule. Answers 0 if there is none.
-- ARGV: schedule id, "1" or "0"
local entry = redis.call('HGET', SCHEDULES, ARGV[1])
if not entry then
  return 0
end
redis.call('HSET', SCHEDULES, ARGV[1], ARGV[2] .. string.sub(entry, 2))
note_change()
return 1
