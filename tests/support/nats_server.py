"""A real NATS server with JetStream, private to a test."""

import json
from urllib.parse import quote

from support.certificates import Certificates
from support.server_process import ServerProcess, ending_with_us
from support.server_programs import NATS
from support.tcp_ports import LOOPBACK


class NatsServer(ServerProcess):
    """`config` are lines such as `"max_payload: 65536"`. With `user` and `password` it wants those."""

    program = NATS
    url_variable = "TASKIQ_TEST_NATS_URL"
    _ready = "Server is ready"
    _port_taken = "address already in use"

    def __init__(self, *config: str, user: str = "", password: str = "", tls: Certificates | None = None) -> None:
        super().__init__(*config)
        self.user, self.password = user, password
        self.tls = tls

    def url_at(self, port: int) -> str:
        """`nats://` or, with `tls`, `tls://`, with user and password."""
        user = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        return f"{'tls' if self.tls else 'nats'}://{user}{LOOPBACK}:{port}"

    def _defaults(self) -> list[str]:
        lines = [f'listen: "{LOOPBACK}:{self.port}"', f"jetstream: {{store_dir: {json.dumps(str(self.folder))}}}"]
        if self.user:
            lines.append(f"authorization: {{user: {json.dumps(self.user)}, password: {json.dumps(self.password)}}}")
        if self.tls is not None:
            files = {"cert_file": self.tls.cert, "key_file": self.tls.key, "ca_file": self.tls.ca}
            lines.append("tls: {" + ", ".join(f"{name}: {json.dumps(str(path))}" for name, path in files.items()) + "}")
        return lines

    def _command(self) -> list[str]:
        return [*ending_with_us(), str(self._binary), "--config", str(self.file)]
