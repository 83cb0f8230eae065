-- Lets start who may; answers for each request 0, or how many microseconds it has to wait, or the number of the limit whose slots
-- are full, negative. ARGV: packed {slots, rates, requests}: limits as the core has them; requests are {holder, ms to live, booked,
-- microseconds of patience, numbers of slots, numbers of rates}; and a text that no other call has
may_exceed_memory()
local limits, rates, requests = unpack(cmsgpack.unpack(ARGV[1]))
local books = {}
call = ARGV[2]
chunk = math.ceil(#requests / math.max(1, #rates))

local function books_of(numbers)
  local found = {}
  for place, number in ipairs(numbers) do
    books[number] = books[number] or open_book(unpack(rates[number]))
    found[place] = books[number]
  end
  return found
end

local function start(found)
  for _, book in ipairs(found) do
    add(book.starts, moment)
  end
  return 0
end

local function wait_for(found, booked, patience)
  if booked then
    local openings, last = highest(found, opening)
    if last <= moment then
      return start(found)
    end
    local recalls, time = highest(found, recall)
    if all_patient(found, openings) and all_patient(found, recalls) then
      for place, book in ipairs(found) do
        if recalls[place] > moment and time - moment <= patience then
          add(book.recalls, time)
        end
      end
      return time - moment
    end
  end
  local times, time = highest(found, next_time)
  if time <= moment then
    start(found)
  elseif time - moment > patience then
    return time - moment
  end
  for place, book in ipairs(found) do
    -- A time far behind what this rate would have given must not push back those who need this rate only.
    if times[place] == time then
      add(book.bookings, time)
    end
  end
  return time - moment
end

local function holds(place, holder)
  return place.ends[holder] or redis.call('ZSCORE', place.name, holder)
end

local function occupy(place, holder, ttl)
  if not holds(place, holder) then
    place.taken = place.taken + 1
  end
  place.ends[holder] = moment + 1000 * ttl
  place.longest = math.max(place.longest, ttl)
end

local function decide(holder, ttl, booked, patience, places, paces)
  for _, number in ipairs(places) do
    local key, limit, name = unpack(limits[number])
    local place = slots_under(key)
    if place.taken >= slots_of(limit, name) and not holds(place, holder) then
      return -number
    end
  end
  local wait = #paces == 0 and 0 or wait_for(books_of(paces), booked, patience)
  if wait == 0 then
    for _, number in ipairs(places) do
      occupy(slots_under(limits[number][1]), holder, ttl)
    end
  end
  return wait
end

local answers = {}
for place, request in ipairs(requests) do
  answers[place] = decide(unpack(request))
end
for _, place in pairs(slots) do
  local rows = {}
  for holder, last in pairs(place.ends) do
    rows[#rows + 1] = last
    rows[#rows + 1] = holder
    if #rows >= 1000 then
      redis.call('ZADD', place.name, unpack(rows))
      rows = {}
    end
  end
  if #rows > 0 then
    redis.call('ZADD', place.name, unpack(rows))
  end
  if place.longest > 0 then
    keep(place.name, place.longest + 1)
  end
end
for _, book in pairs(books) do
  store(book.starts, '', book.window)
  store(book.bookings, book.terms, book.pace)
  store(book.recalls, '', 0)
end
return answers
