-- Deletes schedules; one that is not there is no error.
-- ARGV: n schedule ids
for _, id in ipairs(ARGV) do
  redis.call('HDEL', SCHEDULES, id)
end
note_change()
