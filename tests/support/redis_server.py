"""A real Redis server, private to a test."""

import json
import re
from typing import Self
from urllib.parse import quote

import pytest
from redis import Redis
from support.certificates import Certificates
from support.server_process import ServerProcess, ending_with_us
from support.server_programs import REDIS
from support.tcp_ports import LOOPBACK

_WITHOUT_TLS = r"Failed finding TLS support|'tls-port \d+'\nBad directive"


class RedisServer(ServerProcess):
    """`config` are lines such as `"appendonly yes"`. Unless they say so, nothing is saved."""

    program = REDIS
    url_variable = "TASKIQ_TEST_REDIS_URL"
    _ready = "Ready to accept connections"
    _port_taken = "Address already in use"
    _arguments: tuple[str, ...] = ()

    def __init__(self, *config: str, password: str = "", tls: Certificates | None = None) -> None:
        super().__init__(*config)
        self.password = password
        self.tls = tls

    def url_at(self, port: int) -> str:
        """`redis://` or, with `tls`, `rediss://`, with the password and database 0."""
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"{'rediss' if self.tls else 'redis'}://{user}{LOOPBACK}:{port}/0"

    @property
    def quoted_password(self) -> str:
        """As a line of redis.conf wants it."""
        return json.dumps(self.password, ensure_ascii=False)

    def client(self) -> Redis:
        """A blocking client for what a test has to arrange or look at; close it, or use it as a context manager."""
        trust = {"ssl_ca_certs": str(self.tls.ca)} if self.tls else {}
        return Redis.from_url(self.url, decode_responses=True, **trust)

    def start(self) -> Self:
        """Skips the test that asks, if it was built without the TLS that it is to have."""
        try:
            return super().start()
        except AssertionError:
            if self.tls and re.search(_WITHOUT_TLS, self.process.output):
                pytest.skip("needs a server: this one was built without TLS")
            raise

    def _defaults(self) -> list[str]:
        lines = [
            f"bind {LOOPBACK}",
            f"dir {self.folder}",
            'logfile ""',
            "daemonize no",
            'save ""',
            "repl-diskless-sync-delay 0",
        ]
        if self.tls is None:
            lines.append(f"port {self.port}")
        else:
            lines += ["port 0", f"tls-port {self.port}", "tls-auth-clients optional", "tls-replication yes"]
            lines += [f"tls-ca-cert-file {self.tls.ca}", f"tls-cert-file {self.tls.cert}", f"tls-key-file {self.tls.key}"]
        if self.password:
            lines += [f"requirepass {self.quoted_password}", f"masterauth {self.quoted_password}"]
        return lines

    def _command(self) -> list[str]:
        return [*ending_with_us(), str(self._binary), str(self.file), *self._arguments]
