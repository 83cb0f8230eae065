"""`taskiq db` on PostgreSQL: by hand, twice, by several at once, by those who may and those who may not."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.postgres_servers import shared_postgres
from support.processes import running

from taskiq_core.abc.coordinator import AdmissionRequest, RateLimit, SlotLimit
from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.records import TaskStatus, Transition
from taskiq_core.schedule import ScheduledTask
from taskiq_core.testing.broker_tools import bodies, messages, whats_there
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_brokers_postgres.migrations import VERSION
from taskiq_core_result_backends_postgres import PostgresResultBackend
from taskiq_core_schedule_sources_postgres import PostgresScheduleSource

pytestmark = pytest.mark.anyio

APP = """
import os
from taskiq_core import broker_from_url
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core_schedule_sources_postgres import PostgresScheduleSource

broker = broker_from_url(os.environ["PLACE"])
scheduler = TaskiqScheduler(broker, [PostgresScheduleSource.from_url(os.environ["PLACE"])])
"""
UPGRADED, ALREADY = f": made, version {VERSION}", f": version {VERSION} already"

Db = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def db(tmp_path: Path, postgres_schema: str) -> Db:
    """Runs `taskiq db` on the schema of this test."""
    (tmp_path / "app.py").write_text(APP)

    def run(*arguments: str, url: str = place(postgres_schema)) -> tuple[int, list[str]]:
        with running("taskiq", "db", *arguments, cwd=tmp_path, env={"PLACE": url}) as command:
            return command.wait(), command.lines

    return run


def place(schema: str, *, user: str = "taskiq") -> str:
    return f"{shared_postgres().url.replace('taskiq@', f'{user}:s3cret@')}?schema={schema}&migrate=false"


async def test_who_may_not_migrate_is_told_the_command(db: Db, postgres_schema: str) -> None:
    broker = PostgresBroker(shared_postgres().url, schema=postgres_schema, migrate=False)
    with pytest.raises(ConfigurationError, match=r"has no tables.*run `taskiq db upgrade`"):
        await broker.startup()
    code, lines = db("status", "app:broker")
    assert (code, len(lines)) == (3, 1)
    assert lines[0].endswith(f", schema {postgres_schema}: no tables, this release needs {VERSION}: run `taskiq db upgrade`")
    code, lines = db("upgrade", "app:scheduler")
    assert (code, len(lines)) == (0, 1)
    assert lines[0].endswith(f", schema {postgres_schema}{UPGRADED}")
    await broker.startup()
    await broker.shutdown()
    assert db("status", "--url", place(postgres_schema))[0] == 0
    assert db("upgrade", "--url", place(postgres_schema))[1][0].endswith(ALREADY)


def test_one_of_several_at_once_does_it(tmp_path: Path, postgres_schema: str) -> None:
    with ExitStack() as stack:
        url = place(postgres_schema)
        commands = [stack.enter_context(running("taskiq", "db", "upgrade", "--url", url, cwd=tmp_path)) for _ in range(4)]
        assert [command.wait() for command in commands] == [0] * 4, [command.report for command in commands]
        lines = sorted(line.partition(postgres_schema)[2] for command in commands for line in command.lines)
    assert lines == sorted([UPGRADED, *[ALREADY] * 3])
    assert [row[0] for row in shared_postgres().ask(f"SELECT version FROM {postgres_schema}.schema_versions")] == [VERSION]


@contextmanager
def a_user(schema: str) -> Generator[str]:
    name, server = f"user_{schema}", shared_postgres()
    server.ask(f"CREATE ROLE {name} LOGIN")
    try:
        yield name
    finally:
        server.ask(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        server.ask(f"DROP OWNED BY {name}")
        server.ask(f"DROP ROLE {name}")


def test_a_user_without_rights_and_one_with_a_schema_of_its_own(db: Db, postgres_schema: str) -> None:
    with a_user(postgres_schema) as user:
        url = place(postgres_schema, user=user)
        code, lines = db("upgrade", "app:broker", url=url)
        assert (code, len(lines)) == (2, 1)
        assert "does not allow this user what is needed" in lines[0]
        assert "s3cret" not in lines[0]
        shared_postgres().ask(f"CREATE SCHEMA {postgres_schema} AUTHORIZATION {user}")
        assert db("upgrade", "app:broker", url=url)[1][0].endswith(UPGRADED)


async def test_a_user_who_may_only_use_the_tables(db: Db, postgres_schema: str) -> None:
    """The rights that the how-to names are enough for all plugins: an administrator upgrades."""
    server = shared_postgres()
    assert db("upgrade", "app:broker")[0] == 0
    with a_user(postgres_schema) as user:
        for statement in RIGHTS:
            server.ask(statement.format(schema=postgres_schema, user=user))
        url = place(postgres_schema, user=user)
        assert db("status", "app:scheduler", url=url)[0] == 0
        results: PostgresResultBackend = PostgresResultBackend.from_url(url)
        source = PostgresScheduleSource.from_url(url)
        async with PostgresBroker.from_url(url).with_result_backend(results) as broker:
            await use(broker, results, source)


async def use(broker: PostgresBroker, results: PostgresResultBackend, source: PostgresScheduleSource) -> None:
    """A message is sent, received, and settled with its result and record; a schedule is made; something is claimed."""
    sent = messages(1)
    await broker.kick_many(sent)
    assert bodies(await whats_there(broker)) == bodies(sent)
    await results.set_results([StoredResult(sent[0].task_id, b"x")])
    await results.record([Transition(sent[0].task_id, TaskStatus.SUCCESS, 1.0, "t")])
    assert (await results.admit([AdmissionRequest("me", 60, [SlotLimit("k", 1)], [RateLimit("k", 1, 1, 1)])]))[0].granted
    assert await results.arrive("k", ["me"], 1, 60)
    await source.startup()
    await source.add_schedule(ScheduledTask(task_name="t", interval=60))
    assert len(await source.get_schedules()) == 1
    await source.shutdown()


RIGHTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {user}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {user}",
)
