"""The suite of coordinators fails every one that breaks a law, and every law of it is broken by somebody."""

from typing import Any

import lying_coordinators as liars
import pytest
from catching import assert_caught

from taskiq_core.testing import CoordinatorContract

CASES: tuple[tuple[type[Any], str], ...] = (
    (liars.NotAtomic, "a_race_for_claims_has_one_winner_each"),
    (liars.NotAtomic, "a_race_for_slots_fills_them_exactly"),
    (liars.NotAtomic, "a_race_for_a_rate_starts_no_more_than_may"),
    (liars.NotAtomic, "a_race_of_counters_loses_nothing"),
    (liars.NotAtomic, "a_race_of_arrivals_has_one_last"),
    (liars.NothingExpires, "a_claim_expires_unless_renewed"),
    (liars.NothingExpires, "a_dead_holders_slot_is_free_again"),
    (liars.NothingExpires, "slots_of_the_dead_are_counted_as_free"),
    (liars.NothingExpires, "values_expire"),
    (liars.NothingExpires, "counters_count"),
    (liars.RenewsNothingByZero, "adding_nothing_reads_and_renews"),
    (liars.CountsFromOne, "adding_nothing_reads_and_renews"),
    (liars.AnyoneReleases, "only_the_owner_releases"),
    (liars.AnyoneClaims, "a_claim_has_one_owner"),
    (liars.RemembersHolders, "claims_have_holders"),
    (liars.CompletesAgain, "a_join_completes_once"),
    (liars.ForgetsOnlyClaims, "forgetting_drops_every_kind"),
    (liars.ForgetsOnlyClaims, "forgetting_drops_claims_and_counters"),
    (liars.OneSlotMore, "slots_are_limited"),
    (liars.RenewsNoSlots, "a_slot_is_renewed_by_asking_again"),
    (liars.LeavesOneByOne, "who_leaves_hears_how_many_are_free"),
    (liars.TakesWhatThereIs, "slots_are_taken_all_or_none"),
    (liars.TakesWhatThereIs, "who_waits_takes_no_slot_and_who_finds_slots_full_no_start"),
    (liars.TakesWhatThereIs, "within_several_rates_all_or_none_is_taken"),
    (liars.IgnoresSettings, "a_changed_number_of_slots_holds_at_once"),
    (liars.IgnoresSettings, "a_changed_rate_holds_at_once"),
    (liars.ReadsLooseNumbers, "a_number_of_slots_that_cannot_be_read_is_none"),
    (liars.ReadsLooseNumbers, "a_rate_that_cannot_be_read_is_none"),
    (liars.ReadsOnlyWholeNumbers, "numbers_of_a_rate_may_be_written_in_any_way"),
    (liars.BooksNobody, "who_is_within_the_rate_starts_and_others_are_given_times"),
    (liars.LongPace, "who_is_within_the_rate_starts_and_others_are_given_times"),
    (liars.ShortWindow, "a_window_is_as_long_as_was_asked_for"),
    (liars.ShortWindow, "no_window_has_more_starts_than_it_may"),
    (liars.LetsPoll, "no_window_has_more_starts_than_it_may"),
    (liars.BelievesTheBooked, "who_comes_too_early_does_not_start"),
    (liars.BelievesTheBooked, "those_who_come_late_start_no_faster"),
    (liars.LetsPoll, "those_who_come_late_start_no_faster"),
    (liars.QueuesTheBooked, "the_booked_start_where_there_is_room"),
    (liars.GivesTimesInEveryRate, "who_waits_long_for_one_rate_does_not_hold_up_those_of_another"),
    (liars.GivesTimesToTheHasty, "who_cannot_wait_takes_no_time"),
    (liars.RefusesTheHasty, "who_cannot_wait_may_start_now"),
    (liars.KeepsOldTimes, "a_changed_rate_gives_times_anew"),
    (liars.KeepsOneRate, "two_rates_are_kept_at_once"),
    (liars.CallsWindowsAtOnce, "those_who_wait_are_called_one_after_the_other"),
    (liars.CallsAllAtOnce, "those_who_wait_for_a_moment_do_not_come_at_the_same_time"),
    (liars.OneStartMore, "what_nobody_used_does_not_gather"),
    (liars.ServesNewcomersFirst, "nobody_starts_before_those_who_wait"),
    (liars.ValuesAreText, "values_are_kept_as_they_are"),
    (liars.DeletesNothing, "none_deletes_a_value"),
    (liars.PutsOneByOne, "values_are_put_in_one_step"),
)


@pytest.mark.parametrize(("liar", "law"), CASES, ids=[f"{liar.__name__}-{law}" for liar, law in CASES])
def test_the_liar_is_caught(liar: type[Any], law: str) -> None:
    assert_caught(CoordinatorContract, liar, law)


def test_every_law_is_broken_by_somebody() -> None:
    laws = {name.removeprefix("test_") for name in dir(CoordinatorContract) if name.startswith("test_")}
    assert laws == {law for _, law in CASES}
