"""Several schedulers on one PostgreSQL source make each fire once, one of them killed."""

from pathlib import Path

from support.postgres_servers import shared_postgres
from support.scheduler_race import assert_each_fire_is_made_once


def test_each_fire_is_made_once_by_schedulers_of_which_one_is_killed(tmp_path: Path, postgres_schema: str) -> None:
    assert_each_fire_is_made_once(f"{shared_postgres().url}?schema={postgres_schema}", tmp_path)
