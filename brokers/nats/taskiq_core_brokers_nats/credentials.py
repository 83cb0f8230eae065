"""Logging in with a credentials file: a JWT, and an nkey to sign the server's nonce with."""

import base64
import importlib
import re
from pathlib import Path
from typing import Any

from taskiq_core_brokers_nats.errors import UnusableNatsError

_PART = re.compile(r"-{3,}\s*BEGIN ([A-Z ]+?)\s*-{3,}\s+(\S+)\s+-{3,}\s*END")


def sign(file: str, nonce: str, place: str) -> dict[str, str]:
    """The fields of CONNECT that log in with what is in `file`.

    :raises UnusableNatsError: if it is no credentials file, or `cryptography` is not installed.
    """
    try:
        keys: Any = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    except ImportError:
        reason = "A NATS credentials file needs a library to sign with: pip install taskiq-core-brokers-nats[credentials]."
        raise UnusableNatsError(reason=reason) from None
    parts: dict[str, str] = dict(_PART.findall(Path(file).read_text()))
    jwt, seed = parts.get("NATS USER JWT"), parts.get("USER NKEY SEED")
    if jwt is None or seed is None:
        raise UnusableNatsError(reason=f"{file} (credentials for NATS at {place}) holds no JWT and seed of a user.")
    # A seed is 2 bytes that say its kind, 32 of the key, and a checksum of 2, in base32.
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    signature: bytes = keys.Ed25519PrivateKey.from_private_bytes(raw[2:34]).sign(nonce.encode())
    return {"jwt": jwt, "sig": base64.urlsafe_b64encode(signature).rstrip(b"=").decode()}
