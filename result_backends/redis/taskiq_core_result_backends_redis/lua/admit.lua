-- Lets start who may; answers for each request 0, or how many microseconds it has to wait, or the number of the limit whose slots
-- are full, negative. ARGV: packed list of {holder, ms to live, booked, slots, rates}; limits as the core has them
may_exceed_memory()
local books = {}

local function books_of(rates)
  local found = {}
  for place, rate in ipairs(rates) do
    local key = cmsgpack.pack(rate)
    books[key] = books[key] or open_book(unpack(rate))
    found[place] = books[key]
  end
  return found
end

local function start(found)
  for _, book in ipairs(found) do
    add(book.starts, moment)
  end
  return 0
end

local function wait_for(found, booked)
  if booked then
    local openings, last = highest(found, opening)
    if last <= moment then
      return start(found)
    end
    local recalls, time = highest(found, recall)
    if all_patient(found, openings) and all_patient(found, recalls) then
      for place, book in ipairs(found) do
        if recalls[place] > moment then
          add(book.recalls, time)
        end
      end
      return time - moment
    end
  end
  local times, time = highest(found, next_time)
  if time <= moment then
    start(found)
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

local function decide(holder, ttl, booked, limits, rates)
  for number, limit in ipairs(limits) do
    local place = slots_under(limit[1])
    if place.taken >= slots_of(limit[2], limit[3]) and not holds(place, holder) then
      return -number
    end
  end
  local wait = wait_for(books_of(rates), booked)
  if wait == 0 then
    for _, limit in ipairs(limits) do
      occupy(slots_under(limit[1]), holder, ttl)
    end
  end
  return wait
end

local answers = {}
for number, request in ipairs(cmsgpack.unpack(ARGV[1])) do
  answers[number] = decide(unpack(request))
end
for _, place in pairs(slots) do
  for holder, last in pairs(place.ends) do
    redis.call('ZADD', place.name, last, holder)
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
