"""Tries of a send, and to reach a server: what is repeated, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from taskiq_core.exceptions import SendTaskError
from taskiq_core.server_error import ServerError
from taskiq_core.server_retries import patience_for, reach, send_until_accepted

pytestmark = pytest.mark.anyio

_SOON = 0.15
AWAY = ServerError(reason="away", passing=True)
DOUBTFUL = ServerError(reason="no answer", passing=True, certain=False)
WRONG = ServerError(reason="wrong")
SILENCE = ServerError(reason="silence")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def tries(*ends: ServerError | None) -> Callable[[], Awaitable[None]]:
    """Tries that end so, one after the other; those after the last do not end."""
    left = list(ends)

    async def attempt() -> None:
        if not left:
            await asyncio.get_running_loop().create_future()
        end = left.pop(0)
        if end is not None:
            raise end

    return attempt


async def test_what_passes_is_tried_again_until_it_is_accepted() -> None:
    await send_until_accepted(tries(AWAY, DOUBTFUL, AWAY, None), 60, "a server")


@pytest.mark.parametrize(
    ("ends", "outcome"), [([WRONG], "refused"), ([AWAY, WRONG], "refused"), ([DOUBTFUL, WRONG], "unknown")]
)
async def test_an_error_that_does_not_pass_ends_it(ends: list[ServerError], outcome: str) -> None:
    with pytest.raises(SendTaskError, match="wrong") as caught:
        await send_until_accepted(tries(*ends, None), 60, "a server")
    assert caught.value.outcome == outcome
    assert caught.value.__cause__ is WRONG


async def test_what_may_have_taken_effect_is_not_repeated_where_it_would_be_there_twice() -> None:
    with pytest.raises(SendTaskError, match="no answer") as caught:
        await send_until_accepted(tries(AWAY, DOUBTFUL, None), 60, "a server", repeats_doubtful=False)
    assert caught.value.outcome == "unknown"


@pytest.mark.parametrize(
    ("ends", "unsent", "outcome"),
    [([], False, "unknown"), ([], True, "refused"), ([AWAY], True, "refused"), ([DOUBTFUL], True, "unknown")],
)
async def test_a_try_that_the_end_of_the_time_cuts_off(ends: list[ServerError], unsent: bool, outcome: str) -> None:
    with pytest.raises(SendTaskError, match=r"away|answer") as caught:
        await send_until_accepted(tries(*ends), _SOON, "a server", was_unsent=lambda: unsent)
    assert caught.value.outcome == outcome


async def test_a_time_that_ends_between_two_tries_leaves_no_doubt() -> None:
    async def attempt() -> None:
        raise AWAY

    with pytest.raises(SendTaskError, match="away") as caught:
        await send_until_accepted(attempt, _SOON, "a server")
    assert caught.value.outcome == "refused"


async def test_a_first_try_that_ends_by_itself_needs_no_deadline_and_the_next_one_has_it() -> None:
    with pytest.raises(SendTaskError, match="away"):
        await send_until_accepted(tries(AWAY), _SOON, "a server", first_takes=0.01)


async def test_a_server_that_starts_later_is_reached() -> None:
    left = [AWAY, None]

    async def connect() -> str:
        if (error := left.pop(0)) is not None:
            raise error
        return "a connection"

    assert await reach(connect, 60, SILENCE) == "a connection"


@pytest.mark.parametrize(("ends", "told"), [([], SILENCE), ([AWAY], AWAY)])
async def test_a_server_that_is_not_reached(ends: list[ServerError], told: ServerError) -> None:
    """The error says what to do, and is else that of the last try."""
    with pytest.raises(ServerError) as caught:
        await reach(tries(*ends), _SOON, SILENCE)
    assert str(caught.value) == f"{told.reason}. Tried for 0.15 s: is it running, and is the address right?"
    assert (type(caught.value), caught.value.passing) == (type(told), told.passing)


async def test_a_server_that_refuses_is_not_tried_again() -> None:
    with pytest.raises(ServerError) as caught:
        await reach(tries(AWAY, WRONG), 60, SILENCE)
    assert caught.value is WRONG


def test_a_connection_is_given_up_before_its_send_and_its_lease() -> None:
    assert patience_for(5, send_timeout=5) == 3
    assert patience_for(5, send_timeout=60) == 5
    assert patience_for(5, send_timeout=60, lease=8) == 2
    assert patience_for(5, send_timeout=60, lease=1) == 1
