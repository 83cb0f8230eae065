"""`taskiq migrate` as an operator meets it."""

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from support.processes import running

from taskiq_core import AsyncBroker, BrokerMessage, broker_from_url
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.migration import Migration

Migrate = Callable[..., tuple[int, str]]
URLS = ("--from", "sqlite:///old.db", "--to", "sqlite:///new.db")


@pytest.fixture
def migrate(tmp_path: Path) -> Migrate:
    """Runs the command and returns its exit code and what it printed."""

    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        with running("taskiq", "migrate", *arguments, cwd=tmp_path, env=environment) as command:
            return command.wait(), command.output

    return run


def use(path: Path, work: Callable[[AsyncBroker], object]) -> None:
    async def run() -> None:
        async with broker_from_url(f"sqlite:///{path}", results=False) as broker:
            await work(broker)  # type: ignore[misc]

    anyio.run(run)


def send(path: Path, *queues: str) -> None:
    messages = [BrokerMessage(str(number), "a.task", b"body", queue=queue) for number, queue in enumerate(queues)]
    use(path, lambda broker: broker.kick_many(messages))


def test_queues_are_found_or_named(tmp_path: Path, migrate: Migrate) -> None:
    send(tmp_path / "old.db", "mail", "mail", "files", "default")
    code, said = migrate(*URLS, "--queue", "mail,files")
    assert (code, said.splitlines()) == (
        0,
        ["queue    moved  refused  held", "mail         2        0     0", "files        1        0     0"],
    )
    assert migrate(*URLS) == (0, "queue      moved  refused  held\ndefault        1        0     0")
    assert migrate(*URLS) == (0, "Nothing waits in the source.")


def test_the_held_and_the_dead_stay(tmp_path: Path, migrate: Migrate) -> None:
    send(tmp_path / "old.db", "default", "default", "default")

    async def hold(broker: AsyncBroker) -> None:
        async with broker.subscribe(["default"]) as subscription:
            (dead,) = await subscription.receive(1)
            await subscription.settle([Settlement(dead, Verdict.REJECT, reason="bad")])
            await subscription.receive(1)
            code, said = await anyio.to_thread.run_sync(migrate, *URLS)
            assert (code, said.splitlines()[1:]) == (
                0,
                ["default        1        0     1", "Dead letters stay in the source: 1"],
            )
            assert broker.admin is not None
            assert await broker.admin.depth("default") == QueueDepth(leased=1)

    use(tmp_path / "old.db", hold)


def test_a_paused_queue_wants_a_decision(tmp_path: Path, migrate: Migrate) -> None:
    send(tmp_path / "old.db", "default")

    async def pause(broker: AsyncBroker) -> None:
        assert broker.admin is not None
        await broker.admin.pause("default")

    async def is_paused(broker: AsyncBroker) -> None:
        assert broker.admin is not None
        assert await broker.admin.paused() == {"default"}

    use(tmp_path / "old.db", pause)
    code, said = migrate(*URLS)
    assert code == 2
    assert "Paused already: default. By somebody, or by a run of this command that was killed." in said
    assert migrate(*URLS, "--keep-paused")[0] == 0
    use(tmp_path / "new.db", is_paused)


def test_two_at_once(tmp_path: Path, migrate: Migrate) -> None:
    """Each run has its own connections to the brokers, as two operators have."""
    send(tmp_path / "old.db", "default")

    async def work(source: AsyncBroker) -> None:
        async with broker_from_url(f"sqlite:///{tmp_path / 'new.db'}", results=False) as target, Migration(source, target):
            code, said = await anyio.to_thread.run_sync(migrate, *URLS, "--resume")
            assert (code, "Another run of `taskiq migrate` works at this source" in said) == (2, True), said

    use(tmp_path / "old.db", work)
    assert migrate(*URLS) == (0, "queue      moved  refused  held\ndefault        1        0     0")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--from", "nosuch://me:secret@there", "--to", "sqlite:///new.db"), "nosuch://"),
        (("--from", "sqlite:///odl.db", "--to", "sqlite:///new.db"), "look at the URL after --from"),
        ((*URLS, "--resume", "--keep-paused"), "--resume or --keep-paused, and not both"),
        (("--from", "memory://", "--to", "sqlite:///new.db"), "The source keeps its messages in one process"),
        (("--from", "redis://me:secret@127.0.0.1:1/0", "--to", "sqlite:///new.db"), "Redis at 127.0.0.1:1"),
        (("--from", "sqlite:///old.db", "--to", "sqlite:///../{here}/old.db"), "Source and target are the same place"),
    ],
)
def test_mistakes_are_said_in_a_sentence(tmp_path: Path, migrate: Migrate, arguments: tuple[str, ...], sentence: str) -> None:
    send(tmp_path / "old.db", "default")
    code, said = migrate(*(argument.format(here=tmp_path.name) for argument in arguments))
    assert code in (1, 2)
    assert sentence in said
    assert "secret" not in said
    assert "Traceback" not in said
    assert not (tmp_path / "odl.db").exists()


def test_urls_may_come_from_the_environment(tmp_path: Path, migrate: Migrate) -> None:
    send(tmp_path / "old.db", "default")
    code, _ = migrate(TASKIQ_MIGRATE_FROM="sqlite:///old.db", TASKIQ_MIGRATE_TO="sqlite:///new.db")
    assert code == 0
