-- Notes that a consumer receives no more. What it holds, it keeps.
-- ARGV: consumer
local consumer = ARGV[1]
local generation, queues = registration(consumer)
if generation then
  may_exceed_memory()
  register(consumer, generation, queues, true)
end
return 1
