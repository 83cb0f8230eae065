"""Opening a connection by redis-py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redis.asyncio import connection as driver
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    ConnectionError,  # noqa: A004
    NoPermissionError,
    ResponseError,
    TimeoutError,  # noqa: A004
)
from redis.exceptions import (
    RedisError as DriverError,
)

from taskiq_core_brokers_redis.errors import RedisError, UnusableRedisError, explain, lost


async def open_connection(options: Mapping[str, Any], place: str, timeout: float, *, protocol: int = 3) -> Any:
    """Open a redis-py connection.

    :param options: keyword arguments of redis-py's `Connection`, and `ssl`.
    :raises RedisError: if it cannot be opened within about `timeout` seconds.
    """
    limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    arguments: dict[str, Any] = {"client_name": "taskiq", **limits, **options, "protocol": protocol}
    ssl = arguments.pop("ssl", False)
    _refuse_missing_files(arguments, place)
    kind: Any
    if "path" in arguments:
        kind = driver.UnixDomainSocketConnection
        arguments.pop("socket_connect_timeout")
    else:
        kind = driver.SSLConnection if ssl else driver.Connection
    try:
        connection = kind(**arguments)
    except (DriverError, TypeError, ValueError, OSError) as error:
        raise UnusableRedisError(reason=f"Redis at {place} cannot be connected to with these options: {error}") from error
    try:
        await connection.connect()
    except BaseException as error:
        await connection.disconnect(nowait=True)
        if isinstance(error, DriverError | OSError):
            raise _explained(error, place) from None  # redis-py's chain says the same, in a hundred lines
        raise
    return connection


def _refuse_missing_files(arguments: Mapping[str, Any], place: str) -> None:
    # redis-py opens them with the connection, and says of a missing one what it says of a missing server.
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        file = arguments.get(name)
        if file is not None and not Path(file).is_file():
            raise UnusableRedisError(reason=f"Redis at {place} cannot be connected to: there is no file {file} ({name}).")


async def question(connection: Any, place: str, *command: str) -> Any:
    """Ask one thing of an open redis-py connection.

    :raises RedisError: for an error reply too.
    """
    try:
        await connection.send_command(*command)
        return await connection.read_response()
    except (DriverError, OSError) as error:
        raise _explained(error, place) from None


def _explained(error: Exception, place: str) -> RedisError:
    text = str(error)
    # redis-py cuts the code off the text; only its later releases keep it elsewhere.
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        guessed = "NOAUTH" if "must be called" in text or "required" in text else "WRONGPASS"
        return explain(f"{getattr(error, 'status_code', None) or guessed} {text}", place)
    if isinstance(error, NoPermissionError):
        return explain(f"NOPERM {text}", place)
    if isinstance(error, ConnectionError | TimeoutError | OSError) and not isinstance(error, ResponseError):
        return lost(place, text, certain=True)
    if text.startswith("Protocol error"):
        return lost(place, f"it does not speak like Redis ({text})", certain=True)
    return explain(text, place)
