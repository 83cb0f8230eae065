"""One URL for broker and results."""

import pytest

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.plugins import broker_from_url, result_backend_from_url
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_result_backends_postgres import PostgresResultBackend

URL = "postgresql://user:secret@host:5432/shop"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_broker_brings_its_results_with_it(scheme: str) -> None:
    broker = broker_from_url(f"{scheme}://user:secret@host/shop?schema=jobs&lease=6&result_ttl=60&sslmode=disable&migrate=no")
    backend = broker.result_backend
    assert isinstance(broker, PostgresBroker)
    assert isinstance(backend, PostgresResultBackend)
    assert backend.location.place == broker.location.place == "host/shop jobs"
    assert "sslmode=disable" in backend.location.dsn
    assert broker.subscribe(["default"]).lease == 6
    assert backend.result_ttl == 60.0


def test_options_may_be_keywords() -> None:
    broker = broker_from_url(URL, schema="jobs", result_ttl=60)
    assert isinstance(broker.result_backend, PostgresResultBackend)
    assert broker.result_backend.location.place == "host:5432/shop jobs"
    assert broker.result_backend.result_ttl == 60.0


def test_what_nobody_reads_is_refused() -> None:
    for url in (f"{URL}?result_tll=60", f"{URL}?record_ttl=0", f"{URL}?migrate=maybe", f"{URL}?schema=a-b"):
        with pytest.raises(ConfigurationError) as caught:
            result_backend_from_url(url)
        assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="laese"):
        broker_from_url(f"{URL}?laese=6")
