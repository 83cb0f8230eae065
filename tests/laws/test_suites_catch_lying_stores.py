"""The suites of results, records and schedules fail every store that breaks a law, and only those."""

from typing import Any

import lying_stores as liars
import pytest
from catching import assert_caught, in_memory

from taskiq_core.testing import RecordStoreContract, ResultBackendContract, ScheduleSourceContract

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
    (ScheduleSourceContract, liars.SchedulesAsJson, "every_field_is_kept"),
    (ScheduleSourceContract, liars.SchedulesAppended, "the_same_id_replaces"),
    (ScheduleSourceContract, liars.SchedulesHidePaused, "pausing_is_kept"),
    (ScheduleSourceContract, liars.SchedulesPauseAnything, "pausing_is_kept"),
    (ScheduleSourceContract, liars.SchedulesRace, "concurrent_writers_lose_nothing"),
    (ScheduleSourceContract, liars.SchedulesTellOnlyWhoWaits, "a_change_ends_the_wait"),
    (ScheduleSourceContract, liars.SchedulesTellOfNoPause, "a_change_ends_the_wait"),
)


@pytest.mark.parametrize(("contract", "liar", "law"), CASES, ids=[f"{liar.__name__}-{law}" for _, liar, law in CASES])
def test_the_liar_is_caught(contract: type[Any], liar: type[Any], law: str) -> None:
    assert_caught(contract, liar, law)


class TestHonestSchedules(in_memory(ScheduleSourceContract, liars.MemorySchedules)):
    pass
