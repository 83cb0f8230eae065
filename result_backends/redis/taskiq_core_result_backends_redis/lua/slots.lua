-- Slots, and settings of limits, for one call. ":slots:<key>" has the holders by the time when they lose their slot.
local moment = now()
local values, slots = {}, {}

local function setting(name)
  if name and values[name] == nil then
    values[name] = redis.call('GET', root .. ':value:' .. name)
  end
  return name and values[name]
end

-- The text of a whole number as one; nil for any other.
local function whole(text)
  return text and #text <= 15 and string.find(text, '^%d+$') and tonumber(text) or nil
end

local function slots_of(limit, name)
  return whole(setting(name)) or limit
end

local function slots_under(key)
  local found = slots[key]
  if not found then
    found = {name = root .. ':slots:' .. key, ends = {}, longest = 0}
    redis.call('ZREMRANGEBYSCORE', found.name, '-inf', moment)
    found.taken = redis.call('ZCARD', found.name)
    slots[key] = found
  end
  return found
end
