"""Plugins by URL, over distributions that a test puts on the path."""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.exceptions import ConfigurationError, UnknownSchemeError
from taskiq_core.plugins import (
    PluginKind,
    broker_from_url,
    installed,
    load_plugin,
    result_backend_from_url,
    schedule_source_from_url,
)
from taskiq_core.result_backends.inmemory import InMemoryResultBackend

SOURCE = """
from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.result_backends.dummy import DummyResultBackend
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.schedule_sources.label_based import LabelScheduleSource

class Broker(InMemoryBroker):
    @classmethod
    def from_url(cls, url, **options):
        broker = cls()
        broker.made_from, broker.options = url, options
        return broker

class Forgetful(Broker):
    def __init__(self):
        super().__init__()
        self.result_backend = DummyResultBackend()

class Choosy(Broker):
    url_options = ("queue", "tls")

class Backend(InMemoryResultBackend):
    @classmethod
    def from_url(cls, url, **options):
        backend = cls()
        backend.made_from, backend.options = url, options
        return backend

class ChoosyBackend(Backend):
    url_options = ("ttl", "tls")

class Source(LabelScheduleSource):
    @classmethod
    def from_url(cls, url, **options):
        return ("source", url, options)
"""


class Shelf:
    """A folder on the import path that holds installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, entry_points: dict[str, dict[str, str]], source: str = SOURCE) -> None:
        (self.folder / f"{name}.py").write_text(source)
        info = self.folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [
            line
            for kind, keys in entry_points.items()
            for line in (f"[{kind}]", *(f"{k} = {name}:{v}" for k, v in keys.items()))
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Shelf(tmp_path)
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_memory_is_always_there() -> None:
    broker = broker_from_url("memory://")
    assert isinstance(broker, InMemoryBroker)
    assert isinstance(broker.result_backend, InMemoryResultBackend)
    assert "memory" in installed(PluginKind.BROKER)


def test_results_go_to_the_same_place_where_a_plugin_for_it_is_installed(shelf: Shelf) -> None:
    shelf.install("both_ends", {"taskiq_core.brokers": {"xyz": "Broker"}, "taskiq_core.result_backends": {"xyz": "Backend"}})
    broker: Any = broker_from_url("XYZ://u:pw@host/0?a=b", prefetch=3)
    assert (broker.made_from, broker.options) == ("XYZ://u:pw@host/0?a=b", {"prefetch": 3})
    assert (broker.result_backend.made_from, broker.result_backend.options) == ("XYZ://u:pw@host/0?a=b", {})


def test_options_reach_whoever_declares_them(shelf: Shelf) -> None:
    brokers, backends = {"taskiq_core.brokers": {"xyz": "Choosy"}}, {"taskiq_core.result_backends": {"xyz": "ChoosyBackend"}}
    shelf.install("choosy_ends", brokers | backends)
    broker: Any = broker_from_url("xyz://host", prefetch=3, tls=True, ttl=60)
    assert broker.options == {"prefetch": 3, "tls": True}
    assert broker.result_backend.options == {"tls": True, "ttl": 60}


def test_results_may_be_left_out_or_go_elsewhere(shelf: Shelf) -> None:
    shelf.install("both_ends", {"taskiq_core.brokers": {"xyz": "Broker"}, "taskiq_core.result_backends": {"xyz": "Backend"}})
    own = type(broker_from_url("memory://").result_backend)
    assert type(broker_from_url("xyz://host", results=False).result_backend) is own
    elsewhere: Any = broker_from_url("memory://", results="xyz://other").result_backend
    assert elsewhere.made_from == "xyz://other"


def test_a_broker_without_result_backend_of_its_scheme_stays_as_it_is(shelf: Shelf) -> None:
    shelf.install("one_end", {"taskiq_core.brokers": {"solo": "Broker"}})
    assert isinstance(broker_from_url("solo://host"), InMemoryBroker)


def test_results_that_nobody_will_store_are_warned_about(
    shelf: Shelf, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.install("one_end", {"taskiq_core.brokers": {"solo": "Forgetful"}})
    broker_from_url("solo://host", results=False)
    assert not caplog.text
    broker_from_url("solo://host")
    assert "no result is stored" in caplog.text
    assert 'Say where they go, as in results="redis://...", or say results=False.' in caplog.text
    monkeypatch.setattr(metadata, "requires", lambda _: ["taskiq-core-result-backends-solo; extra == 'one'"])
    broker_from_url("solo://host")
    assert 'Try: pip install "taskiq-core[one]", or say results=False.' in caplog.text


def test_one_url_carries_the_options_of_both(shelf: Shelf) -> None:
    shelf.install(
        "both_ends",
        {"taskiq_core.brokers": {"xyz": "Choosy"}, "taskiq_core.result_backends": {"xyz": "ChoosyBackend"}},
    )
    broker: Any = broker_from_url("xyz:////abs/path?queue=mail&ttl=60&tls=a%26b&typo=1")
    assert broker.made_from == "xyz:////abs/path?queue=mail&tls=a%26b&typo=1"
    assert broker.result_backend.made_from == "xyz:////abs/path?ttl=60&tls=a%26b"


def test_schemes_with_plus_and_aliases_are_just_names(shelf: Shelf) -> None:
    shelf.install("many_names", {"taskiq_core.brokers": {"xyz+sentinel": "Broker", "xyzs": "Broker"}})
    for url in ("xyz+sentinel://a,b/0", "xyzs://a"):
        made: Any = broker_from_url(url)
        assert made.made_from == url


def test_result_backends_and_schedule_sources_by_url(shelf: Shelf) -> None:
    shelf.install(
        "ends", {"taskiq_core.result_backends": {"xyz": "Backend"}, "taskiq_core.schedule_sources": {"xyz": "Source"}}
    )
    backend: Any = result_backend_from_url("xyz://host", ttl=3)
    assert (backend.made_from, backend.options) == ("xyz://host", {"ttl": 3})
    assert schedule_source_from_url("xyz://host", prefix="p") == ("source", "xyz://host", {"prefix": "p"})


def test_only_the_plugin_asked_for_is_imported(shelf: Shelf) -> None:
    shelf.install("wanted_plugin", {"taskiq_core.middlewares": {"wanted": "Broker"}})
    shelf.install("unwanted_plugin", {"taskiq_core.middlewares": {"unwanted": "Broker"}}, "raise SystemExit('imported')")
    assert load_plugin(PluginKind.MIDDLEWARE, "wanted").__name__ == "Broker"
    assert "unwanted" in installed(PluginKind.MIDDLEWARE)
    assert "unwanted_plugin" not in sys.modules


def test_an_unknown_scheme_names_the_known_ones_and_the_nearest(shelf: Shelf) -> None:
    shelf.install("one_end", {"taskiq_core.brokers": {"redis": "Broker"}})
    with pytest.raises(UnknownSchemeError) as caught:
        broker_from_url("reddis://user:secret@host/0")
    text = str(caught.value)
    assert re.match(r"no broker for 'reddis://'\. Installed: (\S+, )*memory, ", text)
    assert text.endswith("Did you mean redis?")
    assert "secret" not in text


def test_an_unknown_scheme_that_resembles_nothing_says_what_a_plugin_does() -> None:
    with pytest.raises(UnknownSchemeError, match=r"an entry point 'qqqq' in the group 'taskiq_core\.result_backends'"):
        result_backend_from_url("qqqq://host")
    with pytest.raises(UnknownSchemeError, match=r"no middleware for 'qqqq'\. Installed: "):
        load_plugin(PluginKind.MIDDLEWARE, "qqqq")


@pytest.mark.parametrize(
    ("scheme", "extra"),
    [("sqlite", "sqlite"), ("sqlitte", "sqlite"), ("rediss", "redis"), ("postgresql", "postgres"), ("postgres", "postgres")],
)
def test_a_plugin_of_the_family_that_is_not_installed_comes_with_the_command(
    monkeypatch: pytest.MonkeyPatch, scheme: str, extra: str
) -> None:
    monkeypatch.setattr(metadata, "entry_points", lambda **_: metadata.EntryPoints())
    with pytest.raises(UnknownSchemeError, match=rf'Installed: none\..*Try: pip install "taskiq-core\[{extra}\]"$'):
        broker_from_url(f"{scheme}:///jobs.db")


def test_the_extra_of_a_scheme_is_that_of_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ["taskiq-core-brokers-rabbitmq; extra == 'rabbitmq'", "taskiq-core-result-backends-postgres; extra == 'postgres'"]
    monkeypatch.setattr(metadata, "requires", lambda _: needs)
    monkeypatch.setattr(metadata, "entry_points", lambda **_: metadata.EntryPoints())
    with pytest.raises(UnknownSchemeError, match=r'pip install "taskiq-core\[rabbitmq\]"$'):
        broker_from_url("amqps://host")
    with pytest.raises(UnknownSchemeError, match=r'pip install "taskiq-core\[postgres\]"$'):
        result_backend_from_url("postgresql://host/db")


@pytest.mark.parametrize("text", ["jobs.db", "", "user:secret@host", "//host", "1a://x", "a b://secret"])
def test_what_is_no_url_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Expected a URL") as caught:
        broker_from_url(text)
    assert "secret" not in str(caught.value)


def test_two_different_plugins_of_one_name_are_refused(shelf: Shelf) -> None:
    shelf.install("first_plugin", {"taskiq_core.brokers": {"twice": "Broker"}})
    shelf.install("second_plugin", {"taskiq_core.brokers": {"twice": "Broker"}})
    with pytest.raises(ConfigurationError, match="first_plugin:Broker and second_plugin:Broker"):
        broker_from_url("twice://")


def test_a_plugin_that_cannot_be_imported_says_which_and_why(shelf: Shelf) -> None:
    shelf.install("broken_plugin", {"taskiq_core.brokers": {"broken": "Broker"}}, "import no_such_driver")
    with pytest.raises(ConfigurationError, match=r"'broken' \(broken_plugin:Broker\) cannot be imported: .*no_such_driver"):
        broker_from_url("broken://")


def test_a_keyword_that_nobody_knows_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"InMemoryBroker has no option lifetime\. Known are: .*lease, ") as caught:
        broker_from_url("memory://", lifetime=4)
    assert "result_ttl" not in str(caught.value)
