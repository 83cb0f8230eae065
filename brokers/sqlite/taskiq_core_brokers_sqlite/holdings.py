"""What one subscription holds: claiming, settling and renewing, each as one transaction.

Every method with a `conn` runs in the database's writing thread, which does one thing at a time; nothing else changes the
books, and they change only after the commit.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core_brokers_sqlite.claiming import Claim
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.dead_letters import bury_letter
from taskiq_core_brokers_sqlite.doorbell import queue_channel
from taskiq_core_brokers_sqlite.parking import park
from taskiq_core_brokers_sqlite.receipt import Receipt
from taskiq_core_brokers_sqlite.results_table import store_results
from taskiq_core_brokers_sqlite.schema import DELAYED, HELD, NO_HOLD, READY, forgotten, new_hold
from taskiq_core_brokers_sqlite.statements import as_set
from taskiq_core_brokers_sqlite.upkeep import keep_up

_BY_SET = "id IN (SELECT value FROM json_each(?))"
_RELEASE_ALL = f"""UPDATE taskiq_messages SET state = {READY}, hold = {NO_HOLD}
                   WHERE state = {HELD} AND hold IN (SELECT id FROM taskiq_holds WHERE consumer IN (?, ?))"""  # noqa: S608


class Holdings:
    """The books of one consumer."""

    def __init__(self, consumer: str, queues: Sequence[str], lease: float) -> None:
        self._consumer = consumer
        self._lease = lease
        self._queues = tuple(dict.fromkeys(queues))
        self._channels = tuple(queue_channel(queue) for queue in self._queues)
        self._held: dict[int, set[int]] = {}
        self._next_upkeep = 0.0
        self._next_sign = 0.0
        self.leases_count_from = 0.0
        """See `Connection.leases_count_from`."""
        self.unseen: Sequence[Delivery] = ()
        """What was claimed last, until the event loop has it."""
        self._claim = Claim(self._queues)

    # -- taking ---------------------------------------------------------------------------------------------------------------

    def claim(self, conn: Connection, limit: int) -> list[Delivery]:
        """Take up to `limit` ready messages."""
        now = time.time()
        if time.monotonic() >= self._next_upkeep:
            conn.watch_clock(now, self._lease)
            keep_up(conn, now)
            self._next_upkeep = time.monotonic() + 0.01
            self.leases_count_from = conn.leases_count_from
        self._sign(conn, now)
        hold = new_hold()
        rows = self._claim.take(conn, hold, limit)
        if not rows:
            return []
        self._open_hold(conn, hold, self._consumer, now)
        ids = {row[0] for row in rows}
        taken = [
            Delivery(body, Receipt(row_id, hold), attempt, queue, deaths, bool(accused))
            for row_id, _, attempt, queue, deaths, accused, body in rows
        ]

        def note() -> None:
            self._held[hold] = ids
            self.unseen = taken

        conn.after_commit(note)
        return taken

    def unclaim(self, deliveries: Sequence[Delivery], conn: Connection) -> None:
        """Give back what nobody has seen, as if it had never been claimed."""
        for hold, ids in _by_hold(deliveries).items():
            conn.execute(
                f"UPDATE taskiq_messages SET state = {READY}, hold = {NO_HOLD}, attempt = attempt - 1 "  # noqa: S608
                f"WHERE {_BY_SET} AND hold = ?",
                (as_set(ids), hold),
            )
        self._book_out(conn, deliveries)
        conn.ring(*self._channels)

    # -- settling -------------------------------------------------------------------------------------------------------------

    def settle(self, conn: Connection, settlements: Sequence[Settlement], result_ttl: float | None = None) -> None:
        """Carry out verdicts and store results. What is no longer held is left alone, but for its result."""
        results = [item.result for item in settlements if item.result is not None]
        if results:
            store_results(conn, results, result_ttl)
        done: list[Delivery] = []
        released: list[Delivery] = []
        for item in settlements:
            if item.verdict is Verdict.ACK:
                done.append(item.delivery)
            elif item.verdict is Verdict.REJECT:
                bury_letter(conn, item)
                done.append(item.delivery)
            elif item.verdict is Verdict.RELEASE and item.delay is None and item.body is None:
                released.append(item.delivery)
            else:
                _send_back(conn, item)
        for hold, ids in _by_hold(done).items():
            conn.execute(f"DELETE FROM taskiq_messages WHERE {_BY_SET} AND hold = ?", (as_set(ids), hold))  # noqa: S608
        for hold, ids in _by_hold(released).items():
            conn.execute(
                f"UPDATE taskiq_messages SET state = {READY}, hold = {NO_HOLD} WHERE {_BY_SET} AND hold = ?",  # noqa: S608
                (as_set(ids), hold),
            )
        if len(done) < len(settlements):
            conn.ring(*self._channels)
        self._book_out(conn, [item.delivery for item in settlements])

    # -- keeping --------------------------------------------------------------------------------------------------------------

    def extend(self, conn: Connection, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Renew the leases of these and no others; returns those that are lost or settled."""
        held = self._still_held(deliveries)
        now, wanted = time.time(), _by_hold(held)
        self._sign(conn, now)
        rows = conn.execute(f"SELECT id FROM taskiq_holds WHERE {_BY_SET}", (as_set(wanted),)).fetchall()  # noqa: S608
        alive: set[int] = {row[0] for row in rows}
        whole = {hold for hold in alive if self._held[hold] == wanted[hold]}
        conn.execute(
            f"UPDATE taskiq_holds SET lease_until = ? WHERE {_BY_SET}",  # noqa: S608
            (now + self._lease, as_set(whole)),
        )
        parts = [item for item in held if item.receipt.hold in alive - whole]
        if parts:
            # Under a hold of their own, since others of their old hold shall not be renewed with them.
            hold = self._move(conn, parts, self._consumer, now)
            conn.after_commit(lambda: self._held.__setitem__(hold, {item.receipt.id for item in parts}))
        kept = {id(item) for item in held if item.receipt.hold in alive}
        return [item for item in deliveries if id(item) not in kept]

    def _sign(self, conn: Connection, now: float) -> None:
        """Say that this consumer lives, and what it receives from."""
        if time.monotonic() < self._next_sign:
            return
        next_sign = time.monotonic() + self._lease / 4  # less than the time between two renewals of leases
        conn.execute("DELETE FROM taskiq_consumers WHERE until <= ?", (now,))
        row = (self._consumer, as_set(self._queues), now + self._lease)
        conn.execute("INSERT OR REPLACE INTO taskiq_consumers VALUES (?, ?, ?)", row)
        conn.after_commit(lambda: setattr(self, "_next_sign", next_sign))

    def sign_off(self, conn: Connection) -> None:
        """Say that this consumer receives no more."""
        conn.execute("DELETE FROM taskiq_consumers WHERE consumer = ?", (self._consumer,))
        conn.after_commit(lambda: setattr(self, "_next_sign", math.inf))

    def forget(self, conn: Connection, deliveries: Sequence[Delivery]) -> None:
        """Take these out of the books; they have one more lease, whose end is no death."""
        held = self._still_held(deliveries)
        if held:
            self._move(conn, held, forgotten(self._consumer), time.time())

    def _move(self, conn: Connection, deliveries: Sequence[Delivery], consumer: str, now: float) -> int:
        """Put deliveries under a new hold, which is not in the books yet."""
        new = new_hold()
        for hold, ids in _by_hold(deliveries).items():
            conn.execute(f"UPDATE taskiq_messages SET hold = ? WHERE {_BY_SET} AND hold = ?", (new, as_set(ids), hold))  # noqa: S608
        self._book_out(conn, deliveries)
        self._open_hold(conn, new, consumer, now)

        def note() -> None:
            for item in deliveries:
                item.receipt.hold = new

        conn.after_commit(note)
        return new

    def release_all(self, conn: Connection) -> None:
        """Give everything back, in its place."""
        names = (self._consumer, forgotten(self._consumer))
        conn.execute(_RELEASE_ALL, names)
        conn.execute("DELETE FROM taskiq_holds WHERE consumer IN (?, ?)", names)
        self.sign_off(conn)
        conn.after_commit(self._held.clear)
        conn.ring(*self._channels)

    # -- books ----------------------------------------------------------------------------------------------------------------

    def _still_held(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        return [item for item in deliveries if item.receipt.id in self._held.get(item.receipt.hold, ())]

    def _open_hold(self, conn: Connection, hold: int, consumer: str, now: float) -> None:
        conn.execute("INSERT INTO taskiq_holds VALUES (?, ?, ?)", (hold, consumer, now + self._lease))

    def _book_out(self, conn: Connection, deliveries: Iterable[Delivery]) -> None:
        """Note what leaves its hold, and drop holds that are empty then. Once per transaction."""
        leaving = {hold: ids for hold, ids in _by_hold(deliveries).items() if hold in self._held}
        empty = [hold for hold, ids in leaving.items() if self._held[hold] <= ids]
        if empty:
            conn.execute(f"DELETE FROM taskiq_holds WHERE {_BY_SET}", (as_set(empty),))  # noqa: S608

        def note() -> None:
            for hold, ids in leaving.items():
                self._held[hold] -= ids
                if not self._held[hold]:
                    del self._held[hold]

        conn.after_commit(note)


def _by_hold(deliveries: Iterable[Delivery]) -> dict[int, set[int]]:
    groups: defaultdict[int, set[int]] = defaultdict(set)
    for item in deliveries:
        groups[item.receipt.hold].add(item.receipt.id)
    return groups


def _send_back(conn: Connection, item: Settlement) -> None:
    """A retry goes to the end of its queue, so that it cannot starve what it may be waiting for; a release does not."""
    if item.verdict is Verdict.RELEASE and item.park is not None and item.delay:
        park(conn, item, item.park, item.delay)
        return
    receipt: Receipt = item.delivery.receipt
    place = "(SELECT max(id) + 1 FROM taskiq_messages)" if item.verdict is Verdict.RETRY else "id"
    due = time.time() + item.delay if item.delay else None
    conn.execute(
        f"UPDATE taskiq_messages SET id = {place}, state = ?, due = ?, hold = {NO_HOLD}, body = coalesce(?, body) "  # noqa: S608
        "WHERE id = ? AND hold = ?",
        (READY if due is None else DELAYED, due, item.body, receipt.id, receipt.hold),
    )
