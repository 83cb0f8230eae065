-- Gives slots up; answers how many of each limit are free when all have left. ARGV: packed list of {holder, {key, limit, setting}}
may_exceed_memory()
local places, answers = cmsgpack.unpack(ARGV[1]), {}
for _, item in ipairs(places) do
  redis.call('ZREM', root .. ':slots:' .. item[2][1], item[1])
end
for number, item in ipairs(places) do
  local key, limit, name = unpack(item[2])
  answers[number] = math.max(0, slots_of(limit, name) - slots_under(key).taken)
end
return answers
