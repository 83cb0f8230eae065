-- Entries that no member of the group has been given: those after the last that was.
local function last_delivered(stream)
  local group = redis.call('XINFO', 'GROUPS', stream)[1]
  for place = 1, #group, 2 do
    if group[place] == 'last-delivered-id' then
      return group[place + 1]
    end
  end
  return '0-0'
end
