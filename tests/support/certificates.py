"""A certificate authority of our own and a certificate for the loopback interface."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_EXTENSIONS = """subjectAltName=IP:127.0.0.1,DNS:localhost
basicConstraints=critical,CA:FALSE
authorityKeyIdentifier=keyid
"""
_MAY_SIGN = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")  # which Python asks of an authority from 3.13 on


@dataclass(frozen=True)
class Certificates:
    """Files in PEM format. The one certificate serves the server and, where it asks for one, the client."""

    ca: Path
    cert: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make them with the `openssl` command. Another folder has another authority, which the first does not trust."""
    made = Certificates(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    ca_key, request, extensions = folder / "ca-key.pem", folder / "request.pem", folder / "extensions.cnf"
    extensions.write_text(_EXTENSIONS)
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(
        "req", "-x509", *new_key, "-keyout", ca_key, "-out", made.ca, "-days", "2", "-subj", "/CN=Test authority", *_MAY_SIGN
    )
    _openssl("req", *new_key, "-keyout", made.key, "-out", request, "-subj", "/CN=localhost")
    signed_by = ("-CA", made.ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile", extensions)
    _openssl("x509", "-req", "-in", request, "-out", made.cert, "-days", "2", *signed_by)
    return made


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
