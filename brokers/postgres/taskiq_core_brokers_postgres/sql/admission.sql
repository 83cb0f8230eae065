-- Letting start who may: the same decisions as in taskiq_core.stores.admission and taskiq_core.stores.starts. Whoever calls
-- these functions has the locks of the keys.

-- A rate as it is in force; `terms` is the value of its setting, where that changes it.
CREATE TYPE taskiq.rate AS (key text, amount bigint, span float8, pace float8, terms bytea);

CREATE FUNCTION taskiq.setting(name text, moment float8) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT value FROM taskiq.stored_values WHERE key = name AND (expires IS NULL OR expires > moment));
END $$;

CREATE FUNCTION taskiq.free_slots(place text, amount bigint, name text, moment float8) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    value text := encode(taskiq.setting(name, moment), 'escape');
BEGIN
    RETURN CASE WHEN value ~ '^[0-9]{1,15}$' THEN value::bigint ELSE amount END
        - (SELECT count(*) FROM taskiq.slots WHERE key = place AND expires > moment);
END $$;

CREATE FUNCTION taskiq.leave(holders text[], places text[], amounts bigint[], names text[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    moment float8 := taskiq.lock_keys(places);
BEGIN
    DELETE FROM taskiq.slots USING unnest(places, holders) AS given(place, who) WHERE key = place AND holder = who;
    RETURN ARRAY(
        SELECT greatest(0, taskiq.free_slots(place, amount, name, moment))
        FROM unnest(places, amounts, names) WITH ORDINALITY AS given(place, amount, name, number) ORDER BY number);
END $$;

-- The n-th newest time of a kind. The order says by which index: without statistics the planner takes the other one for as good.
CREATE FUNCTION taskiq.newest(name text, which integer, nth bigint) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    head bigint := (SELECT n FROM taskiq.times WHERE key = name AND kind = which ORDER BY n DESC LIMIT 1);
BEGIN
    RETURN (SELECT at FROM taskiq.times WHERE key = name AND kind = which AND n <= head - nth + 1 ORDER BY n DESC LIMIT 1);
END $$;

CREATE FUNCTION taskiq.note(rate taskiq.rate, which integer, moment float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO taskiq.times VALUES (rate.key, which,
        coalesce((SELECT n FROM taskiq.times WHERE key = rate.key AND kind = which ORDER BY n DESC LIMIT 1), 0) + 1,
        moment, moment + CASE which WHEN 0 THEN rate.span WHEN 1 THEN rate.pace ELSE 0 END, rate.terms);
END $$;

-- Of the declared rate and its setting that which is in force. Times that were given under other terms are void, and so are all
-- when the clock was set back: then starts that are later than now count as of now.
CREATE FUNCTION taskiq.open_rate(declared taskiq.rate, name text, moment float8) RETURNS taskiq.rate LANGUAGE plpgsql AS $$
DECLARE
    rate taskiq.rate := declared;
    value bytea := taskiq.setting(name, moment);
    number text := '([0-9]{1,20}(?:\.[0-9]{0,40})?(?:e[+-]?[0-9]{1,2})?)';
    parts text[] := regexp_match(encode(value, 'escape'), '^([0-9]{1,15}) ' || number || ' ' || number || '$');
    void boolean;
BEGIN
    IF parts[1]::bigint >= 1 AND 0 < parts[2]::float8 AND parts[2]::float8 <= parts[3]::float8 AND parts[3]::float8 <= 1e9 THEN
        rate := (rate.key, parts[1]::bigint, parts[2]::float8, parts[3]::float8, value);
    END IF;
    UPDATE taskiq.times SET at = moment, expires = moment + rate.span WHERE key = rate.key AND kind = 0 AND at > moment;
    void := FOUND OR (SELECT terms FROM taskiq.times WHERE key = rate.key AND kind = 1 ORDER BY n DESC LIMIT 1) <> rate.terms;
    IF void THEN
        DELETE FROM taskiq.times WHERE key = rate.key AND kind <> 0;
    END IF;
    RETURN rate;
END $$;

-- When the window has room for one more, after `ahead` others.
CREATE FUNCTION taskiq.opening(rate taskiq.rate, moment float8, ahead bigint) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
    RETURN greatest(moment, taskiq.newest(rate.key, 0, rate.amount - ahead) + rate.span);
END $$;

-- When one who came at its time and has to wait is called again: each at an opening of its own.
CREATE FUNCTION taskiq.recall_time(rate taskiq.rate, moment float8) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    ahead bigint := (SELECT count(*) FROM taskiq.times WHERE key = rate.key AND kind = 2 AND at > moment);
BEGIN
    IF ahead < rate.amount THEN
        RETURN taskiq.opening(rate, moment, ahead);
    END IF;
    RETURN rate.span + (
        SELECT at FROM taskiq.times WHERE key = rate.key AND kind = 2 ORDER BY at DESC OFFSET rate.amount - 1 LIMIT 1);
END $$;

-- The time that is given next, behind all that were given before.
CREATE FUNCTION taskiq.next_time(rate taskiq.rate, moment float8) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    last float8;
    last_n bigint;
    ahead bigint := 0;
    answer float8;
BEGIN
    SELECT at, n INTO last, last_n FROM taskiq.times WHERE key = rate.key AND kind = 1 ORDER BY n DESC LIMIT 1;
    IF last > moment THEN
        ahead := last_n + 1 - (
            SELECT n FROM taskiq.times WHERE key = rate.key AND kind = 1 AND at > moment ORDER BY at LIMIT 1);
    END IF;
    answer := greatest(moment, last, taskiq.newest(rate.key, 1, rate.amount) + rate.pace);
    IF ahead < rate.amount THEN
        answer := greatest(answer, taskiq.opening(rate, moment, ahead));
    END IF;
    IF answer > moment THEN
        answer := greatest(answer, last + least(rate.pace, 1) / rate.amount);
    END IF;
    RETURN answer;
END $$;

-- One who is booked starts within all rates: 0; or else the seconds after which all are open; null where that is too far off.
CREATE FUNCTION taskiq.wait_at_its_time(rates taskiq.rate[], moment float8, patience float8) RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
    rate taskiq.rate;
    latest float8 := moment;
    recalls float8[] := '{}';
    near boolean := true;
BEGIN
    FOREACH rate IN ARRAY rates LOOP
        latest := greatest(latest, taskiq.opening(rate, moment, 0));
        near := near AND taskiq.opening(rate, moment, 0) - moment <= rate.pace;
    END LOOP;
    IF latest <= moment THEN
        FOREACH rate IN ARRAY rates LOOP
            PERFORM taskiq.note(rate, 0, moment);
        END LOOP;
        RETURN 0;
    END IF;
    latest := moment;
    FOREACH rate IN ARRAY rates LOOP
        recalls := recalls || taskiq.recall_time(rate, moment);
        latest := greatest(latest, recalls[cardinality(recalls)]);
        near := near AND recalls[cardinality(recalls)] - moment <= rate.pace;
    END LOOP;
    IF NOT near THEN
        RETURN NULL;
    END IF;
    FOR place IN 1 .. cardinality(rates) LOOP
        IF recalls[place] > moment AND latest - moment <= patience THEN
            PERFORM taskiq.note(rates[place], 2, latest);
        END IF;
    END LOOP;
    RETURN latest - moment;
END $$;

-- Start within all of these rates: 0; or else the seconds until a time, which is given where the patience is enough.
CREATE FUNCTION taskiq.wait_for(rates taskiq.rate[], moment float8, booked boolean, patience float8) RETURNS float8
LANGUAGE plpgsql AS $$
DECLARE
    rate taskiq.rate;
    latest float8 := CASE WHEN booked THEN taskiq.wait_at_its_time(rates, moment, patience) END;
    times float8[] := '{}';
BEGIN
    IF latest IS NOT NULL THEN
        RETURN latest;
    END IF;
    latest := moment;
    FOREACH rate IN ARRAY rates LOOP
        times := times || taskiq.next_time(rate, moment);
        latest := greatest(latest, times[cardinality(times)]);
    END LOOP;
    IF latest - moment > greatest(0, patience) THEN
        RETURN latest - moment;
    END IF;
    FOR place IN 1 .. cardinality(rates) LOOP
        IF latest <= moment THEN
            PERFORM taskiq.note(rates[place], 0, moment);
        END IF;
        -- A time far behind what this rate would have given must not push back those who need this rate only.
        IF times[place] = latest THEN
            PERFORM taskiq.note(rates[place], 1, latest);
        END IF;
    END LOOP;
    RETURN latest - moment;
END $$;

-- `want` has the arrays of slots that a request asks for. The place in it of the first that is full, 0 if none is.
CREATE FUNCTION taskiq.first_full(want jsonb, who text, moment float8) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    slot jsonb;
    number integer := 0;
BEGIN
    FOR slot IN SELECT value FROM jsonb_array_elements(want) LOOP
        number := number + 1;
        IF NOT EXISTS (SELECT FROM taskiq.slots WHERE key = slot ->> 0 AND holder = who AND expires > moment)
            AND taskiq.free_slots(slot ->> 0, (slot ->> 1)::bigint, slot ->> 2, moment) < 1 THEN
            RETURN number;
        END IF;
    END LOOP;
    RETURN 0;
END $$;

-- `keys` are all that the requests name. `declared` are their rates: key, amount, span, pace, setting. A request has a holder,
-- the seconds that its slots live, its slots (key, amount, setting), the numbers of its rates, whether it is booked, and its
-- patience. Answers for each: the seconds to wait, or less than zero, the number of the slots that are full.
CREATE FUNCTION taskiq.admit(keys text[], declared jsonb, requests jsonb) RETURNS float8[] LANGUAGE plpgsql AS $$
DECLARE
    moment float8 := taskiq.lock_keys(keys);
    rates taskiq.rate[] := ARRAY(
        SELECT taskiq.open_rate(
            ROW(rate ->> 0, (rate ->> 1)::bigint, (rate ->> 2)::float8, (rate ->> 3)::float8, ''::bytea)::taskiq.rate,
            rate ->> 4, moment)
        FROM jsonb_array_elements(declared) WITH ORDINALITY AS given(rate, number) ORDER BY number);
    request jsonb;
    answer float8;
    answers float8[] := '{}';
BEGIN
    FOR request IN SELECT value FROM jsonb_array_elements(requests) LOOP
        answer := -taskiq.first_full(request -> 2, request ->> 0, moment);
        IF answer = 0 AND jsonb_array_length(request -> 3) > 0 THEN
            answer := taskiq.wait_for(
                ARRAY(SELECT rates[number::integer] FROM jsonb_array_elements_text(request -> 3) AS number),
                moment, (request ->> 4)::boolean, (request ->> 5)::float8);
        END IF;
        IF answer = 0 THEN
            INSERT INTO taskiq.slots
                SELECT slot ->> 0, request ->> 0, moment + (request ->> 1)::float8 FROM jsonb_array_elements(request -> 2) AS slot
                ON CONFLICT (key, holder) DO UPDATE SET expires = excluded.expires;
        END IF;
        answers := answers || answer;
    END LOOP;
    RETURN answers;
END $$;
