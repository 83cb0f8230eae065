"""The proxy does to connections what its methods say."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import ConnectionError as RedisConnectionError
from redis import Redis
from support.processes import DEADLINE
from support.redis_fixtures import StartRedis
from support.tcp_ports import LOOPBACK
from support.tcp_proxy import TcpProxy

QUIET = 0.1
"""Seconds without a byte that count as silence. Were they too short, a test could pass for nothing, but never fail."""


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes, and after the end of it the end."""

    def handle(self) -> None:
        try:
            while chunk := self.request.recv(65536):
                self.request.sendall(chunk)
        except ConnectionResetError:
            self.server.resets.release()


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Echo)
        self.resets = threading.Semaphore(0)


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo: EchoServer) -> Iterator[TcpProxy]:
    with TcpProxy(echo.server_address[1]) as proxy:
        yield proxy


@contextmanager
def connection(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection((LOOPBACK, proxy.port), timeout=DEADLINE) as client:
        yield client


def read(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (chunk := client.recv(size - len(got))):
        got += chunk
    return got


def assert_alive(client: socket.socket) -> None:
    client.sendall(b"alive?")
    assert read(client, 6) == b"alive?"


def assert_silent(client: socket.socket) -> None:
    client.settimeout(QUIET)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(DEADLINE)


def test_much_goes_through_in_both_directions_and_then_the_end(proxy: TcpProxy) -> None:
    much = bytes(range(256)) * 40_000
    with connection(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(much,))
        sender.start()
        assert read(client, len(much)) == much
        sender.join()
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert proxy.accepted == 1


def test_reset_cuts_both_ends_and_lets_new_connections_in(proxy: TcpProxy, echo: EchoServer) -> None:
    with connection(proxy) as first, connection(proxy) as second:
        assert_alive(first)
        assert_alive(second)
        proxy.reset()
        for client in first, second:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            assert echo.resets.acquire(timeout=DEADLINE)
    assert proxy.connected == 0
    with connection(proxy) as client:
        assert_alive(client)


def test_refuse_leaves_present_connections_alone(proxy: TcpProxy) -> None:
    with connection(proxy) as present:
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError), connection(proxy):
            pass
        assert_alive(present)
        proxy.resume()
        with connection(proxy) as client:
            assert_alive(client)


def test_what_is_sent_in_a_stall_arrives_afterwards(proxy: TcpProxy) -> None:
    with connection(proxy) as old:
        assert_alive(old)
        proxy.stall()
        with connection(proxy) as new:
            for client in old, new:
                client.sendall(b"patience")
                client.shutdown(socket.SHUT_WR)
                assert_silent(client)
            proxy.resume()
            for client in old, new:
                assert read(client, 9) == b"patience"


def test_a_stall_holds_back_the_end_of_the_server_too(start_redis: StartRedis) -> None:
    server = start_redis()
    with TcpProxy(server.port) as proxy, connection(proxy) as client:
        client.sendall(b"PING\r\n")
        assert read(client, 7) == b"+PONG\r\n"
        proxy.stall()
        server.kill()
        assert_silent(client)
        proxy.resume()
        assert client.recv(1) == b""


def test_what_was_connected_in_a_black_hole_stays_dead(proxy: TcpProxy) -> None:
    with connection(proxy) as old:
        assert_alive(old)
        proxy.black_hole()
        with connection(proxy) as new:
            for client in old, new:
                client.sendall(b"hello?")
            proxy.resume()
            for client in old, new:
                client.sendall(b"hello?")
                assert_silent(client)
            with connection(proxy) as good:
                assert_alive(good)
                proxy.stall()
                proxy.resume()
                assert_alive(good)
            assert_silent(old)
            proxy.reset()
            with pytest.raises(ConnectionResetError):
                new.recv(1)


def test_a_delay_keeps_the_order_and_ends(proxy: TcpProxy) -> None:
    with connection(proxy) as client:
        proxy.delay(QUIET)
        sent = time.monotonic()
        client.sendall(b"late")
        assert client.recv(1) == b"l"
        assert time.monotonic() - sent >= 2 * QUIET
        client.sendall(b"r")
        proxy.delay(0)
        client.sendall(b"!")
        assert read(client, 5) == b"ater!"


def test_the_reply_is_dropped_after_the_server_has_done_its_work(start_redis: StartRedis) -> None:
    server = start_redis()
    with TcpProxy(server.port) as proxy, server.client() as direct:
        through = Redis(port=proxy.port, retry=None)
        with through, Redis(port=proxy.port, retry=None) as other:
            through.ping()
            cut = proxy.drop_replies(b"INCR")
            other.set("unrelated", 1)
            with pytest.raises(RedisConnectionError):
                through.incr("count")
            assert direct.get("count") == "1"
            assert cut.wait(DEADLINE)
            assert through.incr("count") == 2
            assert other.get("unrelated") == b"1"
        assert proxy.accepted == 3


def test_all_that_was_forwarded_is_done_before_the_cut(start_redis: StartRedis) -> None:
    server = start_redis()
    with TcpProxy(server.port) as proxy, connection(proxy) as client:
        proxy.drop_replies(b"the end")
        sender = threading.Thread(target=client.sendall, args=(b"INCR count\r\n" * 50_000 + b'ECHO "the end"\r\n',))
        sender.start()
        with pytest.raises(ConnectionResetError):
            while client.recv(65536):
                pass
        sender.join()
        with server.client() as direct:
            assert direct.get("count") == "50000"


def test_so_many_replies_are_dropped_as_was_said(proxy: TcpProxy) -> None:
    cut = proxy.drop_replies(count=2)
    for _ in range(2):
        assert not cut.is_set()
        with connection(proxy) as client:
            client.sendall(b"hello?")
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    assert cut.wait(DEADLINE)
    with connection(proxy) as client:
        assert_alive(client)


def test_a_request_is_known_in_pieces_too_and_resume_takes_the_order_back(proxy: TcpProxy) -> None:
    proxy.drop_replies(b"needle")
    with connection(proxy) as client:
        for letter in b"hay nee":
            client.sendall(bytes([letter]))
            assert client.recv(1) == bytes([letter])
        client.sendall(b"dle")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    proxy.drop_replies(b"needle")
    proxy.resume()
    with connection(proxy) as client:
        client.sendall(b"needle")
        assert read(client, 6) == b"needle"


def test_a_server_that_is_down_looks_like_a_reset(start_redis: StartRedis) -> None:
    server = start_redis()
    with TcpProxy(server.port) as proxy:
        server.kill()
        with pytest.raises(ConnectionResetError), connection(proxy) as client:
            client.recv(1)
        server.restart()
        with Redis(port=proxy.port) as through:
            assert through.ping()
