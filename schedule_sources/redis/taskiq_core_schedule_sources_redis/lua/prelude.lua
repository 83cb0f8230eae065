-- Names of keys, and how a change is told. Every script starts with this.
--
-- "schedules" is a hash: schedule id to "1" (paused) or "0" and the packed schedule. "schedules:changed" holds the time of the
-- last change, which is another one also where the server lost data or a replica took over. It goes a day after the change.
local SCHEDULES, CHANGED = KEYS[1] .. ':schedules', KEYS[1] .. ':schedules:changed'

local function note_change()
  local time = redis.call('TIME')
  redis.call('SET', CHANGED, time[1] .. '.' .. time[2], 'EX', '86400')
end
