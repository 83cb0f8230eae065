-- ARGV: queue. Answers how many messages are ready, delayed and held.
local queue = ARGV[1]
local ready, held = 0, 0
for _, level in ipairs(LEVELS) do
  local stream = key(queue, level)
  if redis.call('EXISTS', stream) == 1 then
    local pending = redis.call('XPENDING', stream, GROUP)[1]
    held = held + pending
    ready = ready + redis.call('XLEN', stream) - pending
  end
end
return {ready, redis.call('ZCARD', key(queue, 'due')), held}
