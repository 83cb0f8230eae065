"""PostgreSQL admits as the coordinator in memory does, whoever asks for what."""

import random

import pytest
from support.admission_model import BEGIN, compare
from support.postgres_servers import shared_postgres

from taskiq_core_result_backends_postgres import PostgresResultBackend

pytestmark = pytest.mark.anyio

# In the place of the server's clock.
TESTS_CLOCK = """CREATE OR REPLACE FUNCTION {schema}.moment() RETURNS float8 LANGUAGE sql
                 AS $$ SELECT seconds FROM {schema}.hands $$"""


@pytest.mark.parametrize("seed", range(4))
async def test_random_histories_have_the_same_answers(backend: PostgresResultBackend, postgres_schema: str, seed: int) -> None:
    server = shared_postgres()
    server.ask(f"CREATE TABLE {postgres_schema}.hands AS SELECT {BEGIN}::float8 AS seconds")
    server.ask(TESTS_CLOCK.format(schema=postgres_schema))

    database = backend.require_database()

    async def turn(seconds: float) -> None:
        await database.fetch("UPDATE taskiq.hands SET seconds = seconds + $1", seconds)

    assert await compare(backend, turn, random.Random(seed), 150) > 100
