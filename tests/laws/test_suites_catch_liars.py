"""The broker suite fails every broker that breaks a law, and only those."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import joint_brokers as joint
import lying_admins as admins
import lying_brokers as liars
import lying_evacuations as evacuations
import lying_parks as parks
import lying_pauses as pauses
import lying_transactions as transactions
import pytest

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.broker import AsyncBroker
from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.capability import Capability
from taskiq_core.testing import BrokerContract
from taskiq_core.testing.laws_transactions import TransactionLaws

CANCELLING = "cancelling_receive_loses_and_doubles_nothing"
LEAVING = "leaving_gives_back_at_once"

SUBSCRIPTIONS = (
    (liars.LosesOnCancel, CANCELLING),
    (liars.DoublesOnCancel, CANCELLING),
    (liars.Doubles, "concurrent_consumers_share_without_doubles"),
    (liars.Doubles, "sent_messages_arrive_once_and_unchanged"),
    (liars.ExceedsLimit, "receive_never_exceeds_its_limit"),
    (liars.NeverWoken, "a_waiting_receiver_gets_what_is_sent_later"),
    (liars.AcksOnReceive, LEAVING),
    (liars.SharesWithAll, "what_one_holds_no_other_gets"),
    (liars.CountsWrong, "deliveries_are_counted"),
    (liars.KeepsOnLeave, LEAVING),
    (liars.KeepsOnCancelledLeave, "leaving_by_cancellation_gives_back_too"),
    (liars.IgnoresLease, "an_orphan_comes_back_when_its_lease_ends"),
    (liars.EndsLeaseEarly, "an_orphan_comes_back_when_its_lease_ends"),
    (liars.CountsNoDeaths, "an_orphan_comes_back_when_its_lease_ends"),
    (liars.NeverExtends, "extending_keeps"),
    (liars.ExtendsAll, "only_what_is_extended_is_kept"),
    (liars.HidesTheLost, "extend_reports_what_is_lost"),
    (liars.PretendsToExtendFromThread, "a_thread_can_extend"),
    (liars.LetsTheDeadSettle, "a_lost_lease_gives_no_say"),
    (liars.HasNoLease, "the_lease_is_declared"),
    (liars.BuriesNobody, "the_buried_give_back_at_once"),
    (liars.AccusesNobody, "the_buried_give_back_at_once"),
    (liars.CountsNoDeaths, "the_buried_give_back_at_once"),
    (liars.BlamesForTheForgotten, "the_forgotten_come_back_without_a_death"),
    (liars.ForgetsAll, "the_forgotten_come_back_without_a_death"),
    (liars.LosesTheForgotten, "the_forgotten_come_back_without_a_death"),
    (liars.LosesTheForgotten, "leaving_gives_back_the_forgotten"),
    (liars.NeverAcks, "ack_removes"),
    (liars.NeverAcks, "what_is_settled_stays_settled"),
    (liars.ReleaseWaitsForTheLease, "release_gives_back_at_once"),
    (liars.DropsNewBodies, "retry_delivers_the_new_body"),
    (liars.RetriesAtOnce, "giving_back_with_a_delay_waits"),
    (liars.SettlesTwice, "settling_twice_is_settling_once"),
    (liars.DropsTheRejected, "rejected_messages_are_kept_with_their_reason"),
    (liars.DropsReasons, "rejected_messages_are_kept_with_their_reason"),
    *parks.PARKS,
)

ADMINS = (
    (pauses.OnlySaysSo, "a_paused_queue_keeps_and_delivers_nothing"),
    (pauses.DropsWhatWaits, "a_paused_queue_keeps_and_delivers_nothing"),
    (pauses.WakesNobody, "a_pause_reaches_who_waits"),
    (pauses.PausesAll, "only_the_queue_named_is_paused"),
    (pauses.NeedsOneResumeEach, "pauses_are_listed"),
    (pauses.ListsNothing, "pauses_are_listed"),
    (pauses.PurgeResumes, "paused_queues_are_administered"),
    (pauses.RequeueDelivers, "paused_queues_are_administered"),
    *parks.ADMINS,
    *admins.LIARS,
    *evacuations.LIARS,
)

BROKERS = (
    (liars.claiming(Capability.DURABLE), "messages_outlive_their_broker"),
    (liars.claiming(Capability.CROSS_PROCESS), "another_instance_receives"),
    (liars.claiming(Capability.JOINT_SETTLE), "joint_settling_stores_the_result"),
    (liars.altering("LacksDelay", delay=None), "a_delayed_message_waits"),
    (liars.altering("LacksDelay", delay=None), "depth_counts_the_delayed"),
    (liars.altering("LacksPriority", priority=None), "higher_priority_comes_first"),
    (liars.altering("LacksQueues", queue=None), "queues_are_apart"),
    (liars.altering("LacksIdempotence", task_id=lambda _: liars.new_task_id()), "sending_an_id_again_makes_no_second_message"),
    (
        liars.altering("LacksIdempotence", task_id=lambda _: liars.new_task_id()),
        "sending_an_id_again_with_a_delay_changes_nothing",
    ),
    (liars.altering("Mangles", message=lambda m: m.message.decode(errors="replace").encode()), "any_bytes_are_carried"),
    (liars.altering("Truncates", message=lambda m: m.message[:100_000]), "a_big_message_is_carried"),
    (liars.SendsOneByOne, "a_refused_batch_leaves_nothing"),
    (liars.SendsOneByOne, "a_cancelled_batch_is_there_whole_or_not_at_all"),
    (liars.claiming(Capability.DURABLE), "pauses_outlive_their_broker"),
    (liars.claiming(Capability.DURABLE), "the_parked_outlive_their_broker"),
    (liars.claiming(Capability.CROSS_PROCESS), "who_waits_is_woken_by_a_call"),
    (liars.claiming(Capability.CROSS_PROCESS), "a_pause_reaches_other_instances"),
    (liars.claiming(Capability.CROSS_PROCESS), "others_list_a_pause_at_once"),
    *((pauses.pausing(liar), law) for liar, law in ADMINS),
    *transactions.LIARS,
    (pauses.KeepsWhatWaits, "a_pause_reaches_who_waits"),
    (pauses.StopsHolders, "a_pause_spares_what_workers_hold"),
    (pauses.LeavesToNobody, "a_pause_spares_what_workers_hold"),
    (pauses.DeliversTheDelayed, "what_falls_due_waits_in_a_paused_queue"),
    (
        liars.lying("LacksDeadLetters", liars.MemorySubscription, admin=property(lambda _: None, lambda *_: None)),
        "depth_counts",
    ),
    (
        liars.lying("ClaimsNoLease", liars.MemorySubscription, capabilities=InMemoryBroker.capabilities & ~Capability.LEASE),
        "the_lease_is_declared",
    ),
    (
        liars.lying("AcksBeforeSaving", joint.AcksBeforeSaving, capabilities=joint.JointBroker.capabilities),
        "joint_settling_is_one_step",
    ),
    (
        liars.lying("SavesNothing", joint.SavesNothing, capabilities=joint.JointBroker.capabilities),
        "joint_settling_stores_the_result",
    ),
)

CASES = [*((liars.lying(liar.__name__, liar), law) for liar, law in SUBSCRIPTIONS), *BROKERS]
LOOPS = [(loop, liar, law) for liar, law in CASES for loop in ("asyncio", "trio") if loop == "asyncio" or "cancel" in law]
"""Only cancelling differs between event loops."""


class Suite(BrokerContract):
    short_lease = 0.4
    pause_delay = 0.0

    def __init__(self, broker_class: Callable[..., InMemoryBroker], deadline: float = BrokerContract.deadline) -> None:
        self.broker_class = broker_class
        self.deadline = deadline

    @asynccontextmanager
    async def fresh_store(self) -> AsyncGenerator[Callable[[], InMemoryBroker], None]:
        yield lambda: self.broker_class(lease=self.lease)

    def result_backend_beside(self, broker: AsyncBroker) -> AsyncResultBackend[Any]:
        return broker.result_backend

    def transaction(self, broker: AsyncBroker) -> AbstractAsyncContextManager[Any]:
        return transactions.transaction(broker)


@pytest.mark.parametrize(("loop", "liar", "law"), LOOPS, ids=[f"{liar.__name__}-{law}-{loop}" for loop, liar, law in LOOPS])
def test_the_liar_is_caught(loop: str, liar: type[InMemoryBroker], law: str) -> None:
    suite = Suite(liar, deadline=2.0)
    with pytest.raises(AssertionError) as caught:
        getattr(suite, f"test_{law}")(loop)
    assert any(note.startswith("The law: ") for note in caught.value.__notes__)


@pytest.mark.parametrize("law", ["joint_settling_stores_the_result", "joint_settling_is_one_step"])
def test_the_honest_joint_broker_passes(law: str, anyio_backend: str) -> None:
    getattr(Suite(joint.JointBroker), f"test_{law}")(anyio_backend)


@pytest.mark.parametrize("law", [name for name in dir(TransactionLaws) if name.startswith("test_")])
def test_the_honest_transacting_broker_passes(law: str, anyio_backend: str) -> None:
    getattr(Suite(transactions.TransactingBroker), law)(anyio_backend)


def test_every_capability_has_a_law() -> None:
    laws = [getattr(BrokerContract, name) for name in dir(BrokerContract) if name.startswith("test_")]
    tested = Capability.NONE
    for law in laws:
        tested |= law.terms.needs
    assert tested == ~Capability.NONE
