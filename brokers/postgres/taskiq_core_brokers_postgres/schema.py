"""The tables. Statements everywhere call their schema `taskiq`; `Database` puts the real name in its place.

A message is `READY`, `DELAYED` until `due`, `HELD`, or `PARKED`. One that is held names its worker, whose row in `workers` has
the lease of all that it holds, and the hold: the number of the claim, which nobody else ever has. One that is parked names what
it waits for; only the first of such a line has a `due`. `place` orders what is of one priority: those that were called out of
a line are below zero, before all others.

Claiming changes `state`, `hold` and `worker`. No index holds `hold`, and the one over `worker` covers held messages only.
"""

from importlib.resources import files
from typing import Final

READY: Final = 0
DELAYED: Final = 1
HELD: Final = 2
PARKED: Final = 3

MAIN: Final = 0
"""The row of a worker itself, in `workers.kind`."""
FORGOTTEN: Final = 1
"""What a worker holds and does not extend, or said that it forgets: the end of this lease is nobody's death."""

_BUSY = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0"
# A row of these is written again and again: room for the next version beside it keeps them off the indexes (HOT).
_SMALL = "fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000"

_QUEUES = (
    "CREATE SEQUENCE taskiq.places",
    "CREATE SEQUENCE taskiq.fronts MINVALUE -4611686018427387904 START -4611686018427387904",
    "CREATE SEQUENCE taskiq.holds",
    f"""CREATE TABLE taskiq.messages (
        place bigint NOT NULL, hold bigint NOT NULL DEFAULT 0, worker bigint NOT NULL DEFAULT 0,
        due timestamptz, attempt integer NOT NULL DEFAULT 0, deaths integer NOT NULL DEFAULT 0,
        priority smallint NOT NULL, state smallint NOT NULL, accused boolean NOT NULL DEFAULT false,
        task_id text COLLATE "C" PRIMARY KEY, queue text COLLATE "C" NOT NULL,
        park text COLLATE "C", park_delay interval, body bytea NOT NULL) WITH (fillfactor = 80, {_BUSY})""",
    f"CREATE INDEX messages_ready ON taskiq.messages (queue, priority DESC, place) WHERE state = {READY}",
    f"CREATE INDEX messages_held ON taskiq.messages (worker) WHERE state = {HELD}",
    "CREATE INDEX messages_due ON taskiq.messages (state, due) WHERE due IS NOT NULL",
    f"CREATE INDEX messages_line ON taskiq.messages (park, place) WHERE state = {PARKED}",
    f"""CREATE TABLE taskiq.workers (
        id bigint PRIMARY KEY, lease_until timestamptz NOT NULL, kind smallint NOT NULL, name text NOT NULL,
        queues text[] NOT NULL DEFAULT '{{}}') WITH ({_SMALL})""",
    f"CREATE TABLE taskiq.producers (id bigint PRIMARY KEY, batch bigint NOT NULL, at timestamptz NOT NULL) WITH ({_SMALL})",
    """CREATE TABLE taskiq.paused (queue text COLLATE "C" PRIMARY KEY)""",
    """CREATE TABLE taskiq.dead_letters (
        id bigserial PRIMARY KEY, died_at timestamptz NOT NULL, attempts integer NOT NULL, priority smallint NOT NULL,
        task_id text NOT NULL, queue text COLLATE "C" NOT NULL, reason text NOT NULL, detail bytea, body bytea NOT NULL)""",
    "CREATE INDEX dead_letters_of_queue ON taskiq.dead_letters (queue, id)",
    "CREATE INDEX dead_letters_by_age ON taskiq.dead_letters (died_at)",
)

_RESULTS = (
    """CREATE TABLE taskiq.results (
        task_id text COLLATE "C" PRIMARY KEY, expires timestamptz, body bytea NOT NULL)
        WITH (autovacuum_vacuum_scale_factor = 0.05)""",
    "CREATE INDEX results_expiry ON taskiq.results (expires) WHERE expires IS NOT NULL",
    """CREATE TABLE taskiq.progress (
        task_id text COLLATE "C" PRIMARY KEY, expires timestamptz NOT NULL, body bytea NOT NULL)
        WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)""",
    "CREATE INDEX progress_expiry ON taskiq.progress (expires)",
)

# A moment is when a transition was, and the rank of its status; a fact is what was said then. Of both the greatest counts.
_RECORDS = (
    """CREATE TYPE taskiq.fact AS (at float8, rank smallint, value text COLLATE "C")""",
    """CREATE TABLE taskiq.records (
        task_id text COLLATE "C" PRIMARY KEY, first_seen float8 NOT NULL, queued_at float8, expires timestamptz NOT NULL,
        attempts integer NOT NULL, opening float8[], start float8[], ending float8[],
        name taskiq.fact, queue taskiq.fact, worker taskiq.fact, error taskiq.fact,
        task_name text COLLATE "C" GENERATED ALWAYS AS (coalesce((name).value, '')) STORED,
        status smallint GENERATED ALWAYS AS ((CASE
            WHEN ending IS NOT NULL AND (opening IS NULL OR ending >= opening) THEN ending[2]
            WHEN start IS NOT NULL AND (opening IS NULL OR start >= opening) THEN start[2]
            ELSE opening[2] END)::smallint) STORED) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)""",
    "CREATE INDEX records_seen ON taskiq.records (first_seen, task_id)",
    "CREATE INDEX records_of_status ON taskiq.records (status, first_seen, task_id)",
    "CREATE INDEX records_of_name ON taskiq.records (task_name, first_seen, task_id)",
    "CREATE INDEX records_expiry ON taskiq.records (expires)",
)

_SCRIPTS = tuple(
    (files(__package__ or "") / "sql" / name).read_text("utf-8")
    for name in ("coordination.sql", "admission.sql", "schedules.sql")
)

EXPIRING: Final = {
    **dict.fromkeys(("results", "progress", "records"), "now()"),
    **dict.fromkeys(("claims", "counters", "stored_values", "slots", "times", "joins"), "extract(epoch FROM now())::float8"),
}
"""Tables whose rows go when they have expired, and what time it is as they have it."""

MIGRATIONS: Final = ((*_QUEUES, *_RESULTS, *_RECORDS, *_SCRIPTS),)
"""Statements that lead from each version to the next. Those of a released version never change."""
