-- Rates, for one call: the same decisions as in taskiq_core.stores.starts. Times are whole microseconds, in sorted sets:
-- ":starts:<key>", ":bookings:<key>" for times that were given, ":recalls:<key>" for who is called again in a moment. A member
-- says under what setting a time was given, and the call and its number there, as several times may be the same.
local SPARE, SPREAD = 100, 1000000
local call, serial, chunk = '', 0, 1

local function text_of(number)
  return string.format('%.0f', number)
end

local function open(kind, key)
  return {name = root .. ':' .. kind .. ':' .. key, added = {}, read = {}}
end

local function count(times)
  times.stored = times.stored or redis.call('ZCARD', times.name)
  return times.stored + #times.added
end

local function forget(times, latest)
  local gone = redis.call('ZREMRANGEBYSCORE', times.name, '-inf', latest)
  times.stored = times.stored and times.stored - gone
end

-- The n-th newest. Whatever is added moves the place that is looked for towards the newest: so a chunk of those is read along.
local function newest(times, n)
  if n <= #times.added then
    return times.added[#times.added - n + 1]
  end
  local rank = n - #times.added - 1
  if not times.read[rank] then
    local first = math.max(0, rank - chunk + 1)
    local found = redis.call('ZREVRANGE', times.name, first, rank, 'WITHSCORES')
    for place = 2, #found, 2 do
      times.read[first + place / 2 - 1] = tonumber(found[place])
    end
  end
  return times.read[rank]
end

local function later(times)
  times.later = times.later or redis.call('ZCOUNT', times.name, '(' .. text_of(moment), '+inf')
  return times.later
end

local function add(times, at)
  if at > moment then
    times.later = later(times) + 1
  end
  times.added[#times.added + 1] = at
end

-- Writes what was added; `stays` is for how long the last of it counts.
local function store(times, terms, stays)
  if #times.added == 0 then
    return
  end
  local last, rows = 0, {}
  for place, at in ipairs(times.added) do
    serial, last = serial + 1, math.max(last, at)
    rows[#rows + 1] = at
    rows[#rows + 1] = terms .. '|' .. call .. '-' .. serial
    if #rows >= 1000 or place == #times.added then
      redis.call('ZADD', times.name, unpack(rows))
      rows = {}
    end
  end
  redis.call('PEXPIRE', times.name, text_of(math.ceil((last - moment + stays) / 1000) + 1))
end

-- The numbers of a rate as a setting has them, or nothing.
local function seconds(text)
  return (string.find(text, '^%d+%.?%d*$') or string.find(text, '^%d+%.?%d*e[+-]?%d+$')) and tonumber(text)
end

local function changed(value)
  local first, second, third = string.match(value or '', '^(%d+) (%S+) (%S+)$')
  local limit, window, pace = whole(first), second and seconds(second), third and seconds(third)
  if limit and limit >= 1 and window and pace and 0 < window and window <= pace and pace <= 1e9 then
    return limit, window, pace
  end
end

-- The server's clock was set back, or another server with another one took over: then the latest start is later than now.
local function call_it_now(starts)
  local ahead = redis.call('ZRANGEBYSCORE', starts.name, '(' .. text_of(moment), '+inf')
  for _, member in ipairs(ahead) do
    redis.call('ZADD', starts.name, moment, member)
  end
  starts.read = {}
end

-- Times that were given under other terms are void, and so are all when the clock was set back. Of others more than count are kept
-- for a while: they cost less than their deletion at every call.
local function tidy(book)
  local starts, bookings = book.starts, book.bookings
  local last = redis.call('ZREVRANGE', bookings.name, 0, 0, 'WITHSCORES')
  local void = last[1] and string.match(last[1], '^(.-)|') ~= book.terms
  bookings.read[0] = tonumber(last[2])
  if count(starts) >= book.limit and newest(starts, 1) > moment then
    call_it_now(starts)
    void = true
  end
  if count(starts) > book.limit + SPARE then
    forget(starts, moment - book.window)
  end
  if void then
    redis.call('DEL', bookings.name, book.recalls.name)
    bookings.read, bookings.stored = {}, 0
  elseif last[1] and count(bookings) > book.limit + SPARE then
    redis.call('ZREMRANGEBYRANK', bookings.name, 0, -book.limit - 1)
    bookings.stored = book.limit
  end
end

local function open_book(key, limit, window, pace, name)
  local value = setting(name)
  local other, other_window, other_pace = changed(value)
  local book = {starts = open('starts', key), bookings = open('bookings', key), recalls = open('recalls', key)}
  book.limit, book.terms = other or limit, other and value or ''
  book.window = math.ceil((other_window or window) * 1e6)
  book.pace = math.ceil((other_pace or pace) * 1e6)
  tidy(book)
  return book
end

local function opening(book, ahead)
  local place = book.limit - ahead
  return count(book.starts) < place and moment or math.max(moment, newest(book.starts, place) + book.window)
end

local function recall(book)
  if not book.recalls.later then
    forget(book.recalls, moment)
  end
  local ahead = later(book.recalls)
  return ahead < book.limit and opening(book, ahead) or newest(book.recalls, book.limit) + book.window
end

local function next_time(book)
  local bookings, time = book.bookings, moment
  if count(bookings) > 0 then
    time = math.max(time, newest(bookings, 1))
  end
  if count(bookings) >= book.limit then
    time = math.max(time, newest(bookings, book.limit) + book.pace)
  end
  local ahead = count(bookings) > 0 and newest(bookings, 1) > moment and later(bookings) or 0
  if ahead < book.limit then
    time = math.max(time, opening(book, ahead))
  end
  if time > moment and count(bookings) > 0 then
    time = math.max(time, newest(bookings, 1) + math.floor(math.min(book.pace, SPREAD) / book.limit))
  end
  return time
end

local function highest(books, time_of)
  local times, most = {}, moment
  for place, book in ipairs(books) do
    times[place] = time_of(book, 0)
    most = math.max(most, times[place])
  end
  return times, most
end

local function all_patient(books, times)
  for place, book in ipairs(books) do
    if times[place] - moment > book.pace then
      return false
    end
  end
  return true
end
