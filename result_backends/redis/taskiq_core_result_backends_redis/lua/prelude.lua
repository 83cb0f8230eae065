-- What several scripts share. Every script starts with this, and knows the time by the server's clock only.
local root = KEYS[1]

-- In microseconds since the epoch.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- A key lives `ms` milliseconds from now, or longer if it would have anyway.
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, ms)
  end
end

-- Redis refuses the first write of a script when its memory is full, unless it is one that cannot need any. What workers need in
-- order to finish tasks, and so give memory back, must go on even then.
local function may_exceed_memory()
  redis.call('DEL', root .. ':none')
end
