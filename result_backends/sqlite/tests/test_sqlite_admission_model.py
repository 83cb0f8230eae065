"""SQLite admits as the coordinator in memory does, whoever asks for what."""

import random
from pathlib import Path

import pytest
from support.admission_model import BEGIN, compare

from taskiq_core_result_backends_sqlite import SQLiteResultBackend, coordinator

pytestmark = pytest.mark.anyio


class Hands:
    """The clock of the test, in the place of the machine's."""

    def __init__(self) -> None:
        self.now = BEGIN

    def time(self) -> float:
        return self.now

    async def turn(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("seed", range(4))
async def test_random_histories_have_the_same_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    hands = Hands()
    monkeypatch.setattr(coordinator, "time", hands)
    backend: SQLiteResultBackend = SQLiteResultBackend(tmp_path / "x.db")
    await backend.startup()
    assert await compare(backend, hands.turn, random.Random(seed), 150) > 100
    await backend.shutdown()
