-- Takes tokens; answers 0 for each request that got them, else the microseconds until it could, or -1 if it never can.
-- ARGV: fours of key, tokens per second, burst, tokens
-- ":bucket:<key>" has the tokens at a time. A full bucket is the same as none, so the key lives until it would be full.
may_exceed_memory()
local FOREVER = 1e12
local moment = now()

local function read(key, burst, rate)
  local packed = redis.call('GET', key)
  if not packed then
    return burst, moment
  end
  local tokens, at = cmsgpack.unpack(packed)
  return math.min(burst, tokens + math.max(0, moment - at) * rate / 1e6), at
end

local function write(key, tokens, burst, rate)
  -- A millisecond more, as the server counts time to live in whole ones: the key must not end before the bucket is full.
  local ms = math.min(FOREVER, math.ceil((burst - tokens) / rate * 1000) + 1)
  redis.call('SET', key, cmsgpack.pack(tokens, moment), 'PX', string.format('%.0f', ms))
end

local function take(key, rate, burst, wanted)
  local tokens, at = read(key, burst, rate)
  if tokens >= wanted then
    write(key, tokens - wanted, burst, rate)
    return 0
  end
  if at > moment then  -- the clock was set back; this bucket fills from now on
    write(key, tokens, burst, rate)
  end
  if wanted > burst or rate <= 0 then
    return -1
  end
  return math.ceil((wanted - tokens) / rate * 1e6)
end

local answers = {}
for place = 1, #ARGV, 4 do
  local rate, burst = tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
  answers[#answers + 1] = take(root .. ':bucket:' .. ARGV[place], rate, burst, tonumber(ARGV[place + 3]))
end
return answers
