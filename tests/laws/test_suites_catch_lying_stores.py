"""The suites of results, records, coordinators and schedules fail every store that breaks a law, and only those."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import lying_stores as liars
import pytest

from taskiq_core.testing import CoordinatorContract, RecordStoreContract, ResultBackendContract, ScheduleSourceContract

RACES = ("claims_has_one_winner_each", "slots_fills_them_exactly", "tokens_gives_no_more_than_there_are")

CASES: tuple[tuple[type[Any], type[Any], str], ...] = (
    (ResultBackendContract, liars.ReadyTooEarly, "what_is_missing_is_missing"),
    (ResultBackendContract, liars.LosesTypes, "values_keep_their_types"),
    (ResultBackendContract, liars.LosesCauses, "errors_keep_class_cause_and_traceback"),
    (ResultBackendContract, liars.ForgetsOnWaitCancel, "a_cancelled_wait_harms_nobody"),
    (ResultBackendContract, liars.WakesNobody, "waiting_ends_when_the_result_comes"),
    (ResultBackendContract, liars.WakesNobody, "many_can_wait"),
    (ResultBackendContract, liars.ReturnsOnlyWhenAllAreThere, "waiting_returns_what_there_is"),
    (ResultBackendContract, liars.IgnoresTimeout, "waiting_ends_with_its_timeout"),
    (ResultBackendContract, liars.IgnoresTtl, "results_end_with_their_ttl"),
    (ResultBackendContract, liars.KeepsTheFirst, "storing_again_replaces"),
    (ResultBackendContract, liars.StoresTheUnstorable, "what_cannot_be_stored_is_refused_alone"),
    (ResultBackendContract, liars.LosesProgress, "progress_is_kept_or_ignored"),
    (RecordStoreContract, liars.BelievesTheLast, "the_order_of_arrival_does_not_matter"),
    (RecordStoreContract, liars.BelievesTheLast, "concurrent_writers_lose_nothing"),
    (RecordStoreContract, liars.NeverReopens, "the_status_follows_the_history"),
    (RecordStoreContract, liars.CountsRepeats, "repeating_changes_nothing"),
    (RecordStoreContract, liars.CleansUpRunning, "cleanup_deletes_what_ended_long_ago"),
    (RecordStoreContract, liars.PagesOverlap, "records_are_listed_newest_first"),
    *((CoordinatorContract, liars.NotAtomic, f"a_race_for_{race}") for race in RACES),
    (CoordinatorContract, liars.NotAtomic, "a_race_of_counters_loses_nothing"),
    (CoordinatorContract, liars.NotAtomic, "a_race_of_arrivals_has_one_last"),
    (CoordinatorContract, liars.NothingExpires, "a_claim_expires_unless_renewed"),
    (CoordinatorContract, liars.NothingExpires, "a_dead_holders_slot_is_free_again"),
    (CoordinatorContract, liars.NothingExpires, "counters_count"),
    (CoordinatorContract, liars.RenewsNothingByZero, "adding_nothing_reads_and_renews"),
    (CoordinatorContract, liars.CountsFromOne, "adding_nothing_reads_and_renews"),
    (CoordinatorContract, liars.AnyoneReleases, "only_the_owner_releases"),
    (CoordinatorContract, liars.ExceedsBurst, "a_bucket_never_exceeds_its_burst"),
    (CoordinatorContract, liars.ChargesTheRefused, "what_is_refused_takes_nothing"),
    (CoordinatorContract, liars.ForgetsOnlyClaims, "forgetting_drops_every_kind"),
    (ScheduleSourceContract, liars.SchedulesAsJson, "every_field_is_kept"),
    (ScheduleSourceContract, liars.SchedulesAppended, "the_same_id_replaces"),
    (ScheduleSourceContract, liars.SchedulesHidePaused, "pausing_is_kept"),
    (ScheduleSourceContract, liars.SchedulesPauseAnything, "pausing_is_kept"),
    (ScheduleSourceContract, liars.SchedulesRace, "concurrent_writers_lose_nothing"),
)


def in_memory(contract: type[Any], store: Callable[[], Any]) -> type[Any]:
    """The suite of one store."""

    @asynccontextmanager
    async def fresh_store(_: Any) -> AsyncGenerator[Callable[[], Any], None]:
        yield store

    return type("Suite", (contract,), {"fresh_store": fresh_store, "shared": False})


@pytest.mark.parametrize(("contract", "liar", "law"), CASES, ids=[f"{liar.__name__}-{law}" for _, liar, law in CASES])
def test_the_liar_is_caught(contract: type[Any], liar: type[Any], law: str) -> None:
    suite = in_memory(contract, liar)()
    suite.deadline = 2.0
    with pytest.raises(AssertionError) as caught:
        getattr(suite, f"test_{law}")("asyncio")
    assert any(note.startswith("The law: ") for note in caught.value.__notes__)


class TestHonestSchedules(in_memory(ScheduleSourceContract, liars.MemorySchedules)):
    pass
