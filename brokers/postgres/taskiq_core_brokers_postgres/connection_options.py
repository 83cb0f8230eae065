"""What a URL says about the connection, looked at before anybody connects: the driver finds mistakes in it late, or never."""

import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path

from taskiq_core.exceptions import ConfigurationError

_VERIFYING = ("verify-full", "verify-ca", "require")
_ONE_OF = {
    "sslmode": ("prefer", "allow", "disable", *_VERIFYING),
    "target_session_attrs": ("any", "primary", "standby", "read-write", "read-only", "prefer-standby"),
}
_FILES = frozenset({"passfile", "sslcert", "sslcrl", "sslkey", "sslrootcert"})
_TRUST = frozenset({"sslcrl", "sslrootcert"})
_READ_WITH = {"sslkey": "sslcert", "sslpassword": "sslkey"}
_OWN = {"sslcert": "~/.postgresql/postgresql.crt", "sslkey": "~/.postgresql/postgresql.key"}
"""What the driver reads where neither the URL nor the environment names another file."""


def check_connection(hosts: str, query: Mapping[str, str]) -> None:
    """See to it that each option can be used, and will be.

    :param hosts: addresses with commas, each with a port or without.
    :raises ConfigurationError: naming the option.
    """
    for mistakes in (_choices(query), _files(query), _tls(query), _ports(hosts, query), _certificates(query)):
        for mistake in mistakes:
            raise ConfigurationError(reason=f"The PostgreSQL URL cannot be used: {mistake}.")


def _choices(query: Mapping[str, str]) -> Iterator[str]:
    for option, known in _ONE_OF.items():
        if query.get(option, known[0]) not in known:
            yield f"{option} is one of {', '.join(sorted(known))}"


def _files(query: Mapping[str, str]) -> Iterator[str]:
    for option in sorted(_FILES & query.keys()):
        if not Path(query[option]).is_file():
            yield f"there is no file {query[option]} ({option})"
    for option, other in _READ_WITH.items():
        if option in query and _file(other, query) is None:
            yield f"{option} belongs to {other}, which is not there"


def _tls(query: Mapping[str, str]) -> Iterator[str]:
    mode = query.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    for option in sorted(_TRUST & query.keys()):
        if mode not in _VERIFYING:
            yield f"{option} is for sslmode={' or '.join(_VERIFYING)}, and would not be read with {mode}"
    if mode == "disable" and "sslcert" in query:
        yield "sslcert is for TLS, and sslmode=disable turns that off"


def _ports(hosts: str, query: Mapping[str, str]) -> Iterator[str]:
    of_hosts = [address.rpartition("]")[2].partition(":")[2] for address in hosts.split(",")]
    for port in (*filter(None, of_hosts), *(query["port"].split(",") if "port" in query else ())):
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            yield "a port is a number from 1 to 65535"


def _certificates(query: Mapping[str, str]) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    key = _file("sslkey", query)
    try:
        for option in _TRUST & query.keys():
            context.load_verify_locations(cafile=query[option])
        if "sslcert" in query:
            context.load_cert_chain(query["sslcert"], key, password=query.get("sslpassword", ""))
    except (ssl.SSLError, OSError) as error:
        read = dict(query) if key is None or "sslcert" not in query else {**query, "sslkey": key}
        names = ", ".join(f"{option}={read[option]}" for option in sorted(_FILES & read.keys() - {"passfile"}))
        yield f"its certificates cannot be used ({names}): {error}"


def _file(option: str, query: Mapping[str, str]) -> str | None:
    """The file that the driver reads for an option, None if it reads none."""
    own = os.path.expanduser(_OWN[option])  # noqa: PTH111 - that of a path raises an error where there is no home
    return query.get(option) or os.environ.get(f"PG{option.upper()}") or (own if Path(own).is_file() else None)
