"""Several schedulers on one Redis source make each fire once, one of them killed."""

from pathlib import Path

from support.redis_servers import shared_redis
from support.scheduler_race import assert_each_fire_is_made_once


def test_each_fire_is_made_once_by_schedulers_of_which_one_is_killed(tmp_path: Path, redis_prefix: str) -> None:
    assert_each_fire_is_made_once(f"{shared_redis().url}?prefix={redis_prefix}", tmp_path)
