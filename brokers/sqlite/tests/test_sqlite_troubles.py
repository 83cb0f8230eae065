"""What a sender and a start-up see when the file cannot be used."""

import sqlite3

import anyio
import pytest

from taskiq_core.exceptions import BrokerError, ConfigurationError, SendTaskError
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_brokers_sqlite.schema import SCHEMA_VERSION

pytestmark = pytest.mark.anyio


def message(body: bytes = b"body") -> BrokerMessage:
    return BrokerMessage(new_task_id(), "a.task", body)


async def depth(broker: SQLiteBroker) -> int:
    assert broker.admin is not None
    return (await broker.admin.depth("default")).ready


async def test_a_locked_file_refuses_within_the_send_timeout(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db", send_timeout=0.2) as broker:
        other = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with anyio.fail_after(10), pytest.raises(SendTaskError, match="locked") as caught:
            await broker.kick_many([message()])
        assert caught.value.outcome == "refused"
        other.execute("ROLLBACK")
        other.close()
        await broker.kick_many([message()])
        assert await depth(broker) == 1


async def test_a_lock_that_ends_in_time_is_waited_for(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db", send_timeout=10) as broker, anyio.create_task_group() as group:
        other = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        group.start_soon(broker.kick_many, [message()])
        await anyio.sleep(0.05)
        assert await depth(broker) == 0
        other.execute("ROLLBACK")
        other.close()
    async with broker:
        assert await depth(broker) == 1


async def test_waiting_behind_others_counts(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db", send_timeout=2) as broker:
        other = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        async def send():
            with pytest.raises(SendTaskError):
                await broker.kick_many([message()])

        with anyio.fail_after(7):  # one after the other they would take eight seconds
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(send)
        other.close()


async def test_a_locked_file_can_be_opened(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db"):
        pass
    other = sqlite3.connect(tmp_path / "q.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        assert await depth(broker) == 0
    other.close()


async def test_a_full_disk_refuses_and_leaves_nothing_behind(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db") as broker:
        database = broker._require_database()

        def limit(pages: int):
            return lambda conn: conn.execute(f"PRAGMA max_page_count={pages}").fetchall()

        await database.write(limit(100))
        with pytest.raises(SendTaskError, match="disk is full") as caught:
            await broker.kick_many([message(), message(bytes(1_000_000))])
        assert caught.value.outcome == "refused"
        assert await depth(broker) == 0
        await database.write(limit(100_000))
        await broker.kick_many([message(bytes(1_000_000))])
        assert await depth(broker) == 1


async def test_a_newer_schema_is_refused(tmp_path):
    async with SQLiteBroker(tmp_path / "q.db"):
        pass
    with sqlite3.connect(tmp_path / "q.db") as conn:
        conn.execute("UPDATE taskiq_schema SET version = ?", (SCHEMA_VERSION + 1,))
    conn.close()
    with pytest.raises(BrokerError, match="upgrade taskiq-core-brokers-sqlite"):
        await SQLiteBroker(tmp_path / "q.db").startup()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("text.db", "is not an SQLite database"),
        ("folder", "cannot be opened"),
        ("none/q.db", "directory .*none does not exist"),
    ],
)
async def test_a_wrong_path_says_what_is_wrong(tmp_path, name, sentence):
    (tmp_path / "text.db").write_text("This is a letter to my aunt, and no database. " * 100)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BrokerError, match=sentence):
        await SQLiteBroker(tmp_path / name).startup()
    assert (tmp_path / "text.db").read_text().startswith("This is a letter")


async def test_a_broker_that_is_not_started_says_so(tmp_path):
    with pytest.raises(SendTaskError, match="startup") as caught:
        await SQLiteBroker(tmp_path / "q.db").kick_many([message()])
    assert caught.value.outcome == "refused"


async def test_a_subscription_that_outlives_its_broker_says_so(tmp_path):
    broker = SQLiteBroker(tmp_path / "q.db")
    await broker.startup()
    with anyio.fail_after(10), pytest.raises(BrokerError, match="shut down"):
        async with broker.subscribe(["default"]) as subscription:
            await broker.shutdown()
            await subscription.receive(1)


async def test_tables_of_others_are_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "app.db") as conn:
        conn.execute("CREATE TABLE messages (text)")
        conn.execute("PRAGMA user_version=7")
    conn.close()
    async with SQLiteBroker(tmp_path / "app.db") as broker:
        await broker.kick_many([message()])
        assert await depth(broker) == 1


def test_urls(tmp_path):
    assert SQLiteBroker.from_url("sqlite:///some/jobs.db").path == "some/jobs.db"
    broker = SQLiteBroker.from_url(f"sqlite:///{tmp_path}/a%20b.db?lease=6", poll_interval=1)
    assert broker.path == f"{tmp_path}/a b.db"
    assert broker.subscribe(["default"]).lease == 6


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite://jobs.db", "sqlite:///q.db?laese=6", "sqlite:///q?lease=-1"]
)
def test_wrong_urls_are_refused(url):
    with pytest.raises(ConfigurationError, match=r"memory://|laese|lease"):
        SQLiteBroker.from_url(url)


@pytest.mark.parametrize("url", ["sqlite://user:secret@host/x.db", "sqlite://user:secret@host/x.db?laese=6"])
def test_what_may_be_a_password_is_not_shown(url):
    with pytest.raises(ConfigurationError, match=r"x\.db") as caught:
        SQLiteBroker.from_url(url)
    assert "secret" not in str(caught.value)
