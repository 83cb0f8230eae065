-- Adds schedules, or replaces those of the same ids.
-- ARGV: n times (schedule id, entry)
for place = 1, #ARGV, 2 do
  redis.call('HSET', SCHEDULES, ARGV[place], ARGV[place + 1])
end
note_change()
