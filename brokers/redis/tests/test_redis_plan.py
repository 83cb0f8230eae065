"""What a reader asks next follows from what it was answered."""

from typing import Any

from taskiq_core_brokers_redis.plan import Kind, Plan

STREAMS = [b"back", b"5", b"nudge"]


def entries(count: int) -> list[tuple[bytes, list[bytes]]]:
    return [(b"%d-0" % number, []) for number in range(count)]


def claimed(plan: Plan, limit: int, reply: Any) -> None:
    question = plan.next(limit)
    assert question.kind is Kind.CLAIM
    plan.learn(question, reply)


def test_nothing_found_means_waiting_for_what_the_claim_named() -> None:
    plan = Plan(lease=30)
    claimed(plan, 100, [60_000, STREAMS, [], 0])
    question = plan.next(100)
    assert (question.kind, question.streams, question.count) == (Kind.WAIT, STREAMS, 33)
    assert question.seconds < 1
    assert plan.learn(question, {b"5": entries(1)}) == [(b"5", entries(1))]
    assert plan.next(100).kind is Kind.WAIT, "what comes one by one needs no claim in between"
    plan.learn(plan.next(100), {b"5": entries(33)})
    assert plan.next(100).kind is Kind.CLAIM, "there may be more, of any priority"


def test_no_wait_is_longer_than_a_third_of_the_lease() -> None:
    plan = Plan(lease=0.3)
    claimed(plan, 1, [60_000, STREAMS, [], 0])
    question = plan.next(1)
    assert (question.count, question.seconds <= 0.1) == (1, True)


def test_a_wait_in_vain_or_a_change_means_a_claim() -> None:
    plan = Plan(lease=30)
    claimed(plan, 10, [60_000, STREAMS, [], 0])
    plan.learn(plan.next(10), None)
    claimed(plan, 10, [60_000, STREAMS, [], 0])
    plan.claim_next()
    assert plan.next(10).kind is Kind.CLAIM


def test_a_backlog_is_read_on_where_there_is_no_choice() -> None:
    plan = Plan(lease=30)
    claimed(plan, 50, [0, [], [(b"5", entries(50))], 2])
    question = plan.next(5000)
    assert (question.kind, question.streams, question.count) == (Kind.READ_ON, [b"5"], 1000)
    plan.learn(question, {b"5": entries(10)})
    assert plan.next(5000).kind is Kind.CLAIM


def test_with_several_priorities_every_delivery_is_claimed() -> None:
    plan = Plan(lease=30)
    claimed(plan, 50, [0, [], [(b"9", entries(50))], 3])
    question = plan.next(400)
    assert (question.kind, question.count, question.from_below) == (Kind.CLAIM, 400, 25 + (50 % 16 + 400 % 16) // 16)


def test_one_in_sixteen_is_from_below_however_small_the_steps() -> None:
    plan = Plan(lease=30)
    taken = 0
    for _ in range(160):
        question = plan.next(1)
        taken += question.from_below
        plan.learn(question, [0, [], [(b"9", entries(1))], 3])
    assert (taken, plan.shares, plan.claims) == (10, 10, 160)


def test_a_lost_lease_is_told() -> None:
    plan = Plan(lease=30)
    assert plan.learn(plan.next(10), None) is None
