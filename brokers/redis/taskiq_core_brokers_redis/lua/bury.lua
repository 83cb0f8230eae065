-- Gives back everything that a dead consumer held, with one death more each; those accused are marked, also where their lease
-- has ended in the meantime.
-- ARGV: consumer, task ids of the accused
may_exceed_memory()
local accused = {}
for place = 2, #ARGV do
  accused[ARGV[place]] = true
end
bury(ARGV[1], accused)
for span = 0, 2 do
  bury(forgetful(ARGV[1], span), {})
end
for id in pairs(accused) do
  local place = redis.call('HGET', IDS, id) or ''
  local entry, queue = string.match(place, '^back:([%d-]+):(.*)$')
  if entry then
    local stream = key(queue, 'back')
    local body, _, meta = look_up(stream, entry)
    local unread = #redis.call('XPENDING', stream, GROUP, entry, entry, 1) == 0
    if body and unread then
      local attempts, deaths, marked, own = read_meta(meta, 'back')
      if marked == 0 then
        remove(stream, entry)
        append(queue, 'back', id, body, string.format('%d %d 1 %s', attempts, deaths, own))
      end
    end
  end
end
return 1
