-- Names of keys, and the steps that several scripts share. Every script starts with this.
--
-- A queue is a few streams with one consumer group: one for each priority in use ("0" to "9"), "back" for what was delivered
-- before and is given out before them, "front" for what was parked and is given out first, and "nudge", which wakes one waiting
-- worker to look again. What is not due is in "due" (task id by time) and "later" (task id to message). ":ids" leads from the id
-- of every message that waits or runs to its place.
local root = KEYS[1]
local GROUP = 'workers'
local LEVELS = {'front', 'back', '9', '8', '7', '6', '5', '4', '3', '2', '1', '0'}
local IDS, LEASES, CONSUMERS = root .. ':ids', root .. ':leases', root .. ':consumers'
local PAUSED, DEAD = root .. ':paused', root .. ':dead'

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Redis refuses the first write of a script when its memory is full, unless it is one that cannot need any. What gives memory
-- back in the end must go on even then.
local function may_exceed_memory()
  redis.call('DEL', root .. ':none')
end

local function key(queue, kind)
  return root .. ':q:' .. queue .. ':' .. kind
end

local function queue_and_level(stream)
  return string.match(string.sub(stream, #root + 4), '^(.*):(%w+)$')
end

local function make_stream(stream)
  if redis.call('EXISTS', stream) == 1 then
    return false
  end
  redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
  return true
end

local function nudge(queue)
  local stream = key(queue, 'nudge')
  make_stream(stream)
  redis.call('XADD', stream, 'MAXLEN', '1', '*', 'n', '1')
end

-- Workers wait for the streams that exist, so one of them has to be told of a new one.
local function open_level(queue, level)
  if make_stream(key(queue, level)) then
    nudge(queue)
  end
end

-- `meta` is empty for a message that nobody has received yet, else "attempts deaths accused level".
local function append(queue, level, id, body, meta)
  local entry = redis.call('XADD', key(queue, level), '*', 'b', body, 'i', id, 'm', meta)
  redis.call('HSET', IDS, id, level .. ':' .. entry .. ':' .. queue)
end

local function read_meta(meta, level)
  if meta == '' then
    return 0, 0, 0, level
  end
  local attempts, deaths, accused, own = string.match(meta, '^(%d+) (%d+) (%d) (%w+)$')
  return tonumber(attempts) or 0, tonumber(deaths) or 0, tonumber(accused) or 0, own or level
end

-- The fields of an entry are b, i and m, in this order; nil if it is gone. Others may have put entries there without them.
local function look_up(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  if found then
    return found[2][2], found[2][4] or '', found[2][6] or ''
  end
end

local function remove(stream, entry)
  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
end
