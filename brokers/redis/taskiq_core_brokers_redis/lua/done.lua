-- Steps of settling: what is done, and results. Each answers how many arguments it took.
--   s, n, n times (task id, ms to live or 0, result)
--   a, stream, n, n entries, n task ids                       done
may_exceed_memory()
local at = 1
local steps = {}

function steps.s()
  local count = tonumber(ARGV[at + 1])
  for place = at + 2, at - 1 + 3 * count, 3 do
    local result = root .. ':result:' .. ARGV[place]
    if ARGV[place + 1] == '0' then
      redis.call('SET', result, ARGV[place + 2])
    else
      redis.call('SET', result, ARGV[place + 2], 'PX', ARGV[place + 1])
    end
  end
  return 2 + 3 * count
end

function steps.a()
  local stream, count = ARGV[at + 1], tonumber(ARGV[at + 2])
  local entries, ids = at + 3, at + 3 + count
  local gone = redis.call('XDEL', stream, unpack(ARGV, entries, ids - 1))
  redis.call('XACK', stream, GROUP, unpack(ARGV, entries, ids - 1))
  if gone == count then
    redis.call('HDEL', IDS, unpack(ARGV, ids, ids + count - 1))
  else
    local queue, level = queue_and_level(stream)
    for place = 0, count - 1 do
      if redis.call('HGET', IDS, ARGV[ids + place]) == level .. ':' .. ARGV[entries + place] .. ':' .. queue then
        redis.call('HDEL', IDS, ARGV[ids + place])
      end
    end
  end
  return 3 + 2 * count
end
