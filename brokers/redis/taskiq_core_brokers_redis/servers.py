"""Where the server is: at one address, wherever the Sentinels say, or at the cluster's node for our keys."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from redis.crc import key_slot

from taskiq_core_brokers_redis.errors import RedisError, UnusableRedisError, lost
from taskiq_core_brokers_redis.opening import open_connection, question

Address = tuple[str, int]


class Server(Protocol):
    """Knows how to connect to the server that holds our keys and takes writes."""

    @property
    def place(self) -> str:
        """Where our keys are, without any secret; equal for two that mean the same place."""
        ...

    async def connect(self, timeout: float) -> Any:
        """An open redis-py connection, authenticated, in RESP3, on the right database.

        :raises RedisError: if there is none within about `timeout` seconds.
        """
        ...

    def thread_client_options(self) -> Mapping[str, Any] | None:
        """Keyword arguments of a synchronous `redis.Redis` to the server last connected to; None before the first connect."""
        ...


class SingleServer:
    """One server at a fixed address or Unix socket."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        where = self._options.get("path") or f"{self._options.get('host', 'localhost')}:{self._options.get('port', 6379)}"
        self.place = f"{where}/{self._options.get('db', 0)}"
        self._connected = False

    async def connect(self, timeout: float) -> Any:
        connection = await open_connection(self._options, self.place, timeout)
        self._connected = True
        return connection

    def thread_client_options(self) -> Mapping[str, Any] | None:
        return self._options if self._connected else None


class SentinelServer:
    """The primary that a group of Sentinels names; asked again at every connect.

    Protocol: the guidelines for Sentinel clients in Redis's documentation.
    """

    def __init__(
        self, sentinels: Sequence[Address], service: str, options: Mapping[str, Any], sentinel_options: Mapping[str, Any]
    ) -> None:
        self._sentinels = list(sentinels)
        self._service = service
        self._options = dict(options)
        self._sentinel_options = dict(sentinel_options)
        self._primary: Address | None = None
        hosts = ",".join(f"{host}:{port}" for host, port in sorted(self._sentinels))
        self.place = f"{hosts}/{service}/{self._options.get('db', 0)}"

    async def connect(self, timeout: float) -> Any:
        failure: RedisError = lost(self.place, "the Sentinels name no primary", certain=True)
        share = timeout / (len(self._sentinels) + 1)
        for sentinel in tuple(self._sentinels):
            try:
                host, port = await self._ask(sentinel, share)
                connection = await self._connect_to_primary(host, port, timeout / 2)
            except UnusableRedisError:
                raise
            except RedisError as error:
                failure = error
            else:
                self._primary = (host, port)
                self._sentinels.remove(sentinel)  # who knows is asked first the next time
                self._sentinels.insert(0, sentinel)
                return connection
        raise failure

    def thread_client_options(self) -> Mapping[str, Any] | None:
        if self._primary is None:
            return None
        host, port = self._primary
        return {**self._options, "host": host, "port": port}

    async def _ask(self, sentinel: Address, timeout: float) -> Address:
        where = {"host": sentinel[0], "port": sentinel[1]}
        try:
            tls = {name: value for name, value in self._options.items() if name.startswith("ssl")}
            options = {**tls, **self._sentinel_options, **where}
            connection = await open_connection(options, self.place, timeout, protocol=2)
            try:
                answer = await question(connection, self.place, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            finally:
                await connection.disconnect(nowait=True)
        except UnusableRedisError as error:
            if "unknown command" in str(error).lower():
                reason = (
                    f"Redis at {sentinel[0]}:{sentinel[1]} is no Sentinel: use redis://, or the port of the Sentinels (26379)."
                )
            else:
                reason = f"The Sentinels at {self.place} refuse us: set ?sentinel_password= in the URL. ({error})"
            raise UnusableRedisError(reason=reason) from error
        if answer is None:
            raise lost(self.place, f"the Sentinels name no primary of {self._service!r}", certain=True)
        return (answer[0].decode(), int(answer[1]))

    async def _connect_to_primary(self, host: str, port: int, timeout: float) -> Any:
        place = f"{host}:{port} of {self.place}"
        connection = await open_connection({**self._options, "host": host, "port": port}, place, timeout)
        try:
            role = (await question(connection, place, "ROLE"))[0]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        if role != b"master":
            await connection.disconnect(nowait=True)
            raise lost(place, "the Sentinels name no primary that is one (yet)", certain=True)
        return connection


class ClusterServer:
    """The node of a cluster that holds our one slot; looked up again at every connect."""

    def __init__(self, nodes: Sequence[Address], root: str, options: Mapping[str, Any]) -> None:
        self._nodes = list(nodes)
        self._known = list(nodes)
        self._slot = int(key_slot(root.encode()))
        self._options = dict(options)
        self._holder: Address | None = None
        self.place = ",".join(f"{host}:{port}" for host, port in sorted(self._nodes)) + " (cluster)"

    async def connect(self, timeout: float) -> Any:
        failure: RedisError = lost(self.place, "no node is known", certain=True)
        nodes = list(dict.fromkeys([*self._known, *self._nodes]))
        share = timeout / (len(nodes) + 1)
        for node in nodes:
            self._ask_last(node)  # also where we are cancelled while it hangs
            try:
                holder = await self._find_holder(node, share)
                connection = await self._connect_to(holder, timeout / 2)
            except UnusableRedisError:
                raise
            except RedisError as error:
                failure = error
            else:
                self._holder = holder
                self._known.insert(0, node)
                return connection
        raise failure

    def _ask_last(self, node: Address) -> None:
        self._known = [other for other in self._known if other != node]
        self._nodes = [*(other for other in self._nodes if other != node), *([node] if node in self._nodes else [])]

    def thread_client_options(self) -> Mapping[str, Any] | None:
        if self._holder is None:
            return None
        host, port = self._holder
        return {**self._options, "host": host, "port": port}

    async def _connect_to(self, node: Address, timeout: float) -> Any:
        host, port = node
        return await open_connection({**self._options, "host": host, "port": port}, f"{host}:{port} of {self.place}", timeout)

    async def _find_holder(self, node: Address, timeout: float) -> Address:
        connection = await self._connect_to(node, timeout)
        try:
            ranges: list[Any] = await question(connection, self.place, "CLUSTER", "SLOTS")
        except RedisError as error:
            if "cluster support disabled" not in str(error):
                raise
            raise UnusableRedisError(reason=f"Redis at {self.place} is not a cluster: use redis://. ({error})") from error
        finally:
            await connection.disconnect(nowait=True)
        # Each: first slot, last slot, primary, replicas; a host may be empty and means the one that was asked.
        self._known = [_address(part[2], node) for part in ranges]
        for (first, last, *_), holder in zip(ranges, self._known, strict=True):
            if first <= self._slot <= last:
                return holder
        raise lost(self.place, f"no node serves slot {self._slot}", certain=True)


def _address(part: Sequence[Any], asked: Address) -> Address:
    host, port = part[0], int(part[1])
    text = host.decode() if isinstance(host, bytes) else str(host or "")
    return (asked[0] if text in {"", "?"} else text, port)
