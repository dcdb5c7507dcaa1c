"""What the clients of part (g) count as failed, asked from servers of this machine."""

from __future__ import annotations

import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches"))

from bench.clients import Client, Sent, Web  # noqa: E402


@contextmanager
def server(status: int) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening.server_port
        listening.shutdown()


def test_a_request_fails_by_its_status_or_without_an_answer() -> None:
    for status, expected in ((200, True), (503, False)):
        with server(status) as port:
            assert Web(["127.0.0.1"], port).ask() is expected
    assert not Web(["127.0.0.1"], port).ask()


def test_the_workload_is_asked_on_each_address_in_turn_without_a_second_try() -> None:
    with server(200) as port:
        web = Web(["127.0.0.1", "127.0.0.2", "127.0.0.1"], port)
        assert [web.ask() for _ in range(6)] == [True, False, True] * 2


def test_the_longest_gap_reaches_from_the_first_failed_request_to_the_end_of_the_last_one_in_a_row() -> None:
    sent = [(0, False), (1, True), (2, False), (3, True), (4, True), (5, False)]
    client = Client(lambda: True, [Sent(at, at + 0.5, failed) for at, failed in sent])
    assert client.longest_gap() == 1.5
    assert Client(lambda: True).longest_gap() == 0
    assert client.slowest() == 0.5
    assert [one.at for one in client.between(2, 4)] == [2, 3]


def test_a_client_asks_until_it_is_stopped() -> None:
    answers = iter([True, False])
    client = Client(lambda: next(answers, True))
    enough = threading.Event()
    ask = client.ask
    client.ask = lambda: (len(client.sent) >= 3 and enough.set()) or ask()
    with client.running():
        assert enough.wait(60)
    count = len(client.sent)
    assert [one.failed for one in client.sent[:3]] == [False, True, False]
    assert len(client.sent) == count
