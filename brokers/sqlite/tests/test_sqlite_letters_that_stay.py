"""Dead letters that are put back and become no message stay where they are."""

from pathlib import Path

import pytest
from support.twin_letters import assert_twin_letters_stay

from taskiq_core_brokers_sqlite import SQLiteBroker

pytestmark = pytest.mark.anyio


async def test_letters_that_become_no_message_stay(tmp_path: Path) -> None:
    async with SQLiteBroker(tmp_path / "jobs.db") as broker:
        await assert_twin_letters_stay(broker)
