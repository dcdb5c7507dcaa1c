"""The relay that makes a host distant, on the loopback."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches"))

from bench.relay import relay  # noqa: E402

MUCH = b"x" * 300_000


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets, until its client has no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _address = server.accept()
            with connection:
                while chunk := connection.recv(1 << 16):
                    connection.sendall(chunk)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def receive(client: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (chunk := client.recv(1 << 16)):
        received += chunk
    return received


def test_each_round_trip_takes_the_delay(echo: int) -> None:
    with relay("127.0.0.1", echo, 0.05) as port, socket.create_connection(("127.0.0.1", port)) as client:
        for _trip in range(3):
            started = time.monotonic()
            client.sendall(b"a word")
            assert receive(client, 6) == b"a word"
            assert time.monotonic() - started >= 0.05


def test_what_is_sent_arrives_unchanged_and_in_order_also_after_the_last_word(echo: int) -> None:
    with relay("127.0.0.1", echo, 0.01) as port, socket.create_connection(("127.0.0.1", port)) as client:
        threading.Thread(target=lambda: (client.sendall(MUCH), client.shutdown(socket.SHUT_WR))).start()
        assert receive(client, len(MUCH)) == MUCH


def test_afterwards_nothing_listens_no_connection_is_left_and_nothing_is_complained_of(
    echo: int, caplog: pytest.LogCaptureFixture
) -> None:
    with relay("127.0.0.1", echo, 0.01) as port:
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"x")
        assert receive(client, 1) == b"x"
    with client, pytest.raises(ConnectionRefusedError):
        assert client.recv(1) == b""
        socket.create_connection(("127.0.0.1", port))
    assert not caplog.records
