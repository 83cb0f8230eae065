-- Gives back everything that a consumer holds or has forgotten, and strikes it out.
-- ARGV: consumer
may_exceed_memory()
for _, name in ipairs({ARGV[1], forgetful(ARGV[1], 0), forgetful(ARGV[1], 1), forgetful(ARGV[1], 2)}) do
  local generation, queues = registration(name)
  if generation then
    give_back(queues, member_of(name, generation), 0, {})
  end
  strike_out(name)
end
return 1
