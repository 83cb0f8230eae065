"""Options of plugins' URLs."""

from urllib.parse import urlsplit

import pytest

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.url_options import flag, host_and_port, positive_seconds, query_of, read_options, refuse_unknown, split_url


@pytest.mark.parametrize(("value", "seconds"), [("1.5", 1.5), (" 2 ", 2.0), (3, 3.0), (0.25, 0.25), ("1e3", 1000.0)])
def test_seconds_are_read_from_texts_and_numbers(value: object, seconds: float) -> None:
    assert positive_seconds("lease", value) == seconds


@pytest.mark.parametrize("value", ["", "soon", "0", "-1", "inf", "nan", 0, -0.5, None, True, [1]])
def test_anything_else_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        positive_seconds("lease", value)
    assert f"lease is a positive number of seconds, not {value!r}" in str(caught.value)


def test_unknown_options_are_refused_with_those_that_are_known() -> None:
    refuse_unknown({"lease": "1"}, {"lease", "prefix"}, "The Redis URL")
    refuse_unknown({}, (), "The Redis URL")
    with pytest.raises(ConfigurationError, match=r"The Redis URL has unknown options: a, b\. Known are: lease, prefix\."):
        refuse_unknown({"b": 1, "a": 2, "lease": 3}, {"prefix", "lease"}, "The Redis URL")
    with pytest.raises(ConfigurationError, match=r"unknown options: a\. Known are: none\."):
        refuse_unknown({"a": 2}, (), "The SQLite URL")


def test_what_may_be_part_of_a_password_is_not_repeated() -> None:
    """`redis://:pass?wo&rd=@host` has the options `wo` and `rd`."""
    with pytest.raises(ConfigurationError) as caught:
        refuse_unknown({"wo": "", "rd@host": ""}, {"lease"}, "The Redis URL")
    assert "wo" not in str(caught.value).replace("unknown", "")
    assert "rd@" not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        positive_seconds("lease", "rd@host")
    assert "rd" not in str(caught.value)


def test_urls_are_split_or_refused_without_telling_the_password() -> None:
    assert split_url("jobs://me:a@host/x?b=1", "Jobs", "jobs://host", {"jobs"}).hostname == "host"
    for url in ("jobs://me:secret/word@host", "jobs://me:secret?word@host", "jobs://me:secret#word@host"):
        with pytest.raises(ConfigurationError, match="The Jobs URL has @ or # behind its host: write / ") as caught:
            split_url(url, "Jobs", "jobs://host", {"jobs"})
        assert "secret" not in str(caught.value)
    for url in ("tasks://me:secret@host", "jobs://me:[secret@host"):
        with pytest.raises(ConfigurationError, match="This is not a Jobs URL") as caught:
            split_url(url, "Jobs", "jobs://host", {"jobs"})
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("a=1&b=2&a=1", "says a twice: leave one"),
        ("a=1&b=", "has an option without a value: b"),
        ("rd@host=", r"value: \.\.\."),
    ],
)
def test_what_one_of_two_values_would_hide_is_refused(query: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        query_of(urlsplit(f"jobs://host?{query}"))


def test_options_are_read_and_those_of_others_are_left() -> None:
    parts = urlsplit("jobs://host?lease=2&tls=yes&prefix=shop")
    assert read_options(parts, {"lease": positive_seconds, "tls": flag}, {"prefix"}, "Jobs") == {"lease": 2.0, "tls": True}
    with pytest.raises(ConfigurationError, match=r"The Jobs URL has unknown options: prefix, tls\. Known are: lease\."):
        read_options(parts, {"lease": positive_seconds}, (), "Jobs")
    with pytest.raises(ConfigurationError, match="lease is true or false, not '2'"):
        read_options(parts, {"lease": flag}, {"prefix", "tls"}, "Jobs")


@pytest.mark.parametrize(
    ("text", "address"),
    [("", ("localhost", 9)), ("one", ("one", 9)), ("one:1", ("one", 1)), ("[::1]", ("::1", 9)), ("[::1]:2", ("::1", 2))],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert host_and_port(text, 9, "Jobs", "jobs://host") == address


@pytest.mark.parametrize("text", ["one:0", "one:65536", "one:s3cret", "s3 cret", "s3cret%2Fx"])
def test_other_addresses_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Jobs URL") as caught:
        host_and_port(text, 9, "Jobs", "jobs://host")
    assert "cret" not in str(caught.value)
