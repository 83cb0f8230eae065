"""Mistakes of a test are told from what it tests."""

from typing import Any

import pytest

from taskiq_core import InMemoryBroker
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio


async def test_a_point_where_nothing_can_go_wrong() -> None:
    async with taskiq_test(InMemoryBroker()) as t:
        with pytest.raises(ValueError, match=r"'snd' is no point .*'send', 'receive', 'settle', 'store'"):
            t.fail_next("snd")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_names_that_nobody_has() -> None:
    broker = InMemoryBroker()
    task = broker.register_task(print, "print")
    async with taskiq_test(broker) as t:
        with pytest.raises(LookupError, match=r"'prnit' was not sent, .* its tasks are: print"):
            t.sent("prnit")
        assert not t.sent("print")
        await task.kicker().with_labels(queued_by="ada").kiq()
        with pytest.raises(TypeError, match="No send has a label 'qeue'; did you mean 'queue'"):
            t.sent("print").where(qeue="x")
        assert t.sent("print").where(queued_by="ada")
        assert not t.sent("print").where(colour="red")
        with pytest.raises(LookupError, match="Nothing was sent under the id 'nope'"):
            await t.redeliver("nope")


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [("pacience", "; did you mean 'patience'"), ("concurency", "; did you mean 'concurrency'"), ("zzz", "$")],
)
async def test_a_keyword_that_is_none(keyword: str, hint: str) -> None:
    options: dict[str, Any] = {keyword: 1}
    with pytest.raises(TypeError, match=f"take no keyword '{keyword}'{hint}"):
        async with taskiq_test(InMemoryBroker(), **options):
            pass
