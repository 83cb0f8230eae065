"""Back-off, and the words for an end."""

import pytest

from taskiq_core.cli.exit_codes import describe_exit
from taskiq_core.cli.restarts import LONGEST, restart_delay


def test_the_first_restart_is_immediate_and_later_ones_double_up_to_a_bound() -> None:
    assert [restart_delay(n) for n in range(8)] == [0, 0, 0.5, 1, 2, 4, 8, 8]
    assert restart_delay(10_000) == LONGEST


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "exit code 1"),
        (-15, "killed by SIGTERM"),
        (-9, "killed by SIGKILL (out of memory?)"),
        (-200, "killed by signal 200"),
    ],
)
def test_an_exit_in_words(code: int, text: str) -> None:
    assert describe_exit(code) == text
