-- What the coordinator keeps, and its steps. Times are seconds since 1970 by this server's clock.

CREATE TABLE taskiq.claims (key text COLLATE "C" PRIMARY KEY, owner text NOT NULL, expires float8 NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX claims_expiry ON taskiq.claims (expires);

CREATE TABLE taskiq.counters (key text COLLATE "C" PRIMARY KEY, value bigint NOT NULL, expires float8 NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX counters_expiry ON taskiq.counters (expires);

CREATE TABLE taskiq.joins (
    key text COLLATE "C" PRIMARY KEY, arrived bigint NOT NULL, complete boolean NOT NULL, expires float8 NOT NULL);
CREATE INDEX joins_expiry ON taskiq.joins (expires);
-- Forgotten when all have arrived, and with their join.
CREATE TABLE taskiq.arrivals (key text COLLATE "C", member text COLLATE "C", PRIMARY KEY (key, member));
CREATE FUNCTION taskiq.drop_arrivals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM taskiq.arrivals WHERE key IN (SELECT key FROM gone);
    RETURN NULL;
END $$;
CREATE TRIGGER drop_arrivals AFTER DELETE ON taskiq.joins REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION taskiq.drop_arrivals();

CREATE TABLE taskiq.stored_values (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL, expires float8);
CREATE INDEX stored_values_expiry ON taskiq.stored_values (expires) WHERE expires IS NOT NULL;

-- As many rows as tasks run, written again and again: without an index over `expires` a renewal touches no index at all.
CREATE TABLE taskiq.slots (key text COLLATE "C", holder text COLLATE "C", expires float8 NOT NULL, PRIMARY KEY (key, holder))
    WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Times of one rate: 0 a start, 1 a time that was given, 2 one that was told to come again in a moment. `n` counts those of a
-- kind; of starts and times given it has their order, so that the limit-th newest is found without a walk over the others.
CREATE TABLE taskiq.times (
    key text COLLATE "C", kind smallint, n bigint, at float8 NOT NULL, expires float8 NOT NULL, terms bytea NOT NULL,
    PRIMARY KEY (key, kind, n)) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX times_in_order ON taskiq.times (key, kind, at);
CREATE INDEX times_expiry ON taskiq.times (expires);

CREATE FUNCTION taskiq.moment() RETURNS float8 LANGUAGE sql AS $$ SELECT extract(epoch FROM clock_timestamp())::float8 $$;

-- Until the end of the transaction nobody else changes anything under these keys; the time at which that was so. All who change
-- several keys call this first, and so wait for one another in one order. A few locks for all keys: the server's table of
-- locks is small.
CREATE FUNCTION taskiq.lock_keys(keys text[]) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    bucket integer;
BEGIN
    FOR bucket IN SELECT DISTINCT hashtext(key) & 255 AS number FROM unnest(keys) AS key ORDER BY number LOOP
        PERFORM pg_advisory_xact_lock(hashtext('taskiq.keys'), bucket);
    END LOOP;
    RETURN taskiq.moment();
END $$;

CREATE FUNCTION taskiq.claim(keys text[], owners text[], ttls float8[]) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
    moment float8 := taskiq.lock_keys(keys);
    answers boolean[] := '{}';
BEGIN
    FOR place IN 1 .. cardinality(keys) LOOP
        INSERT INTO taskiq.claims AS claim VALUES (keys[place], owners[place], moment + ttls[place])
            ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires = excluded.expires
            WHERE claim.owner = excluded.owner OR claim.expires <= moment;
        answers := answers || FOUND;
    END LOOP;
    RETURN answers;
END $$;

CREATE FUNCTION taskiq.release(keys text[], owners text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM taskiq.lock_keys(keys);
    DELETE FROM taskiq.claims AS claim USING unnest(keys, owners) AS given(key, owner)
        WHERE claim.key = given.key AND claim.owner = given.owner;
END $$;

-- A body that is null deletes.
CREATE FUNCTION taskiq.put(keys text[], bodies bytea[], ttl float8) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moment float8 := taskiq.lock_keys(keys);
BEGIN
    DELETE FROM taskiq.stored_values AS stored USING unnest(keys, bodies) AS given(key, body)
        WHERE stored.key = given.key AND given.body IS NULL;
    INSERT INTO taskiq.stored_values
        SELECT given.key, given.body, moment + ttl FROM unnest(keys, bodies) AS given(key, body) WHERE given.body IS NOT NULL
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires;
END $$;

CREATE FUNCTION taskiq.add(keys text[], amounts bigint[], ttl float8) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    moment float8 := taskiq.lock_keys(keys);
    total bigint;
    answers bigint[] := '{}';
BEGIN
    FOR place IN 1 .. cardinality(keys) LOOP
        INSERT INTO taskiq.counters AS counter VALUES (keys[place], amounts[place], moment + ttl)
            ON CONFLICT (key) DO UPDATE SET expires = excluded.expires,
            value = CASE WHEN counter.expires > moment THEN counter.value ELSE 0 END + excluded.value
            RETURNING value INTO total;
        answers := answers || total;
    END LOOP;
    RETURN answers;
END $$;

-- The row of the join is locked before its arrivals, as by those who delete it.
CREATE FUNCTION taskiq.arrive(name text, members text[], expected bigint, ttl float8) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    moment float8 := taskiq.lock_keys(ARRAY[name]);
    known taskiq.joins;
    new bigint := 0;
BEGIN
    DELETE FROM taskiq.joins WHERE key = name AND expires <= moment;
    SELECT * INTO known FROM taskiq.joins WHERE key = name FOR UPDATE;
    IF NOT FOUND THEN
        known := (name, 0, false, 0);
    END IF;
    IF NOT known.complete THEN
        INSERT INTO taskiq.arrivals SELECT DISTINCT name, member FROM unnest(members) AS member ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS new = ROW_COUNT;
    END IF;
    INSERT INTO taskiq.joins VALUES (name, known.arrived + new, known.complete OR known.arrived + new >= expected, moment + ttl)
        ON CONFLICT (key) DO UPDATE
        SET arrived = excluded.arrived, complete = excluded.complete, expires = excluded.expires;
    IF known.complete OR known.arrived + new < expected THEN
        RETURN false;
    END IF;
    DELETE FROM taskiq.arrivals WHERE key = name;
    RETURN true;
END $$;

CREATE FUNCTION taskiq.forget(keys text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM taskiq.lock_keys(keys);
    DELETE FROM taskiq.claims WHERE key = ANY (keys);
    DELETE FROM taskiq.slots WHERE key = ANY (keys);
    DELETE FROM taskiq.times WHERE key = ANY (keys);
    DELETE FROM taskiq.stored_values WHERE key = ANY (keys);
    DELETE FROM taskiq.counters WHERE key = ANY (keys);
    DELETE FROM taskiq.joins WHERE key = ANY (keys);
END $$;
