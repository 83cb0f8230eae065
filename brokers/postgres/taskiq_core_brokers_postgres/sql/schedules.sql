-- Schedules that are made at run time.

CREATE TABLE taskiq.schedules (
    id bigserial PRIMARY KEY, schedule_id text COLLATE "C" NOT NULL UNIQUE, paused boolean NOT NULL, body bytea NOT NULL);

-- How often any was changed: who missed a notification sees it here.
CREATE TABLE taskiq.schedule_changes (single boolean PRIMARY KEY CHECK (single), count bigint NOT NULL);

-- Those who change schedules wait here for one another, before they touch any.
CREATE FUNCTION taskiq.note_change() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO taskiq.schedule_changes AS change VALUES (true, 1) ON CONFLICT (single) DO UPDATE SET count = change.count + 1;
    PERFORM pg_notify('schedules.taskiq:', '');
END $$;

CREATE FUNCTION taskiq.put_schedules(ids text[], are_paused boolean[], bodies bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM taskiq.note_change();
    INSERT INTO taskiq.schedules (schedule_id, paused, body) SELECT * FROM unnest(ids, are_paused, bodies)
        ON CONFLICT (schedule_id) DO UPDATE SET paused = excluded.paused, body = excluded.body;
END $$;

CREATE FUNCTION taskiq.drop_schedules(ids text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM taskiq.note_change();
    DELETE FROM taskiq.schedules WHERE schedule_id = ANY (ids);
END $$;

-- Whether there is such a schedule.
CREATE FUNCTION taskiq.pause_schedule(id_of_one text, is_paused boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM taskiq.note_change();
    UPDATE taskiq.schedules SET paused = is_paused WHERE schedule_id = id_of_one;
    RETURN FOUND;
END $$;
