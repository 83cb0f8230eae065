"""Several schedulers on one NATS source make each fire once, one of them killed."""

from pathlib import Path

from support.nats_servers import shared_nats
from support.scheduler_race import assert_each_fire_is_made_once


def test_each_fire_is_made_once_by_schedulers_of_which_one_is_killed(tmp_path: Path, nats_prefix: str) -> None:
    assert_each_fire_is_made_once(f"{shared_nats().url}?prefix={nats_prefix}", tmp_path)
