"""NATS in operator mode: keys of an operator, an account and a user, and what they sign."""

import base64
import hashlib
import json
import secrets
import time
from pathlib import Path
from typing import Any

import nkeys as _untyped_nkeys

nkeys: Any = _untyped_nkeys  # the package ships no types

_NO_LIMITS = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1) | {"wildcards": True}


class Operator:
    """An operator with one account, which may use all of JetStream."""

    def __init__(self) -> None:
        self._operator, self._account = _keys(nkeys.PREFIX_BYTE_OPERATOR), _keys(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = _keys(nkeys.PREFIX_BYTE_ACCOUNT)  # which JetStream needs for itself

    def server_config(self) -> list[str]:
        """Lines of a server's configuration: who is trusted, and the account."""
        accounts = {_name(self._account): self._account_token(), _name(self._system): self._system_token()}
        return [
            f"operator: {_signed(self._operator, self._operator, 'operator')}",
            f"system_account: {_name(self._system)}",
            "resolver: MEMORY",
            "resolver_preload: {" + ", ".join(f"{name}: {token}" for name, token in accounts.items()) + "}",
        ]

    def make_credentials(self, file: Path, *, of_account: bool = True) -> Path:
        """Write a file by which a new user of the account logs in; of another account than that, if not `of_account`."""
        user = _keys(nkeys.PREFIX_BYTE_USER)
        account = self._account if of_account else _keys(nkeys.PREFIX_BYTE_ACCOUNT)
        token = _signed(user, account, "user", subs=-1, data=-1, payload=-1)
        parts = {"NATS USER JWT": token, "USER NKEY SEED": user.seed.decode()}
        file.write_text("".join(f"-----BEGIN {name}-----\n{text}\n------END {name}------\n\n" for name, text in parts.items()))
        file.chmod(0o600)
        return file

    def _account_token(self) -> str:
        stores = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)
        return _signed(self._account, self._operator, "account", limits=_NO_LIMITS | stores)

    def _system_token(self) -> str:
        return _signed(self._system, self._operator, "account", limits=_NO_LIMITS)


def _keys(prefix: int) -> Any:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(secrets.token_bytes(32), prefix)))


def _name(keys: Any) -> str:
    name: str = keys.public_key.decode()
    return name


def _signed(subject: Any, issuer: Any, kind: str, **fields: object) -> str:
    """A JWT about `subject`."""
    claims: dict[str, Any] = {"iat": int(time.time()), "iss": _name(issuer), "name": kind, "sub": _name(subject)}
    claims["nats"] = {"type": kind, "version": 2, **fields}
    claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
    text = f"{_encoded({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_encoded(claims)}"
    return f"{text}.{_base64(issuer.sign(text.encode()))}"


def _encoded(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
