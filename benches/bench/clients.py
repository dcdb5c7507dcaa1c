# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clients that ask all the time, as users do, and remember what failed."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.lab import Lab

INTERVAL = 0.1
LIMIT = 2


@dataclass
class Sent:
    at: float
    ended: float
    failed: bool


@dataclass
class Client:
    ask: Callable[[], bool]
    sent: list[Sent] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        stopped = threading.Event()
        thread = threading.Thread(target=self._run, args=[stopped], daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            at = time.time()
            answered = self.ask()
            self.sent.append(Sent(at, time.time(), not answered))
            stopped.wait(max(0, at + INTERVAL - time.time()))

    def between(self, begin: float, end: float) -> list[Sent]:
        return [one for one in self.sent if begin <= one.at < end]

    def longest_gap(self) -> float:
        """From the begin of the first failed request of a row of them to the end of the last one."""
        rows = [list(row) for failed, row in itertools.groupby(self.sent, key=lambda one: one.failed) if failed]
        return max((row[-1].ended - row[0].at for row in rows), default=0.0)

    def slowest(self) -> float:
        return max((one.ended - one.at for one in self.sent if not one.failed), default=0.0)


class Web:
    """Each address in turn, without a second try."""

    def __init__(self, addresses: list[str], port: int) -> None:
        self.addresses = itertools.cycle(addresses)
        self.port = port

    def ask(self) -> bool:
        return answers(http.client.HTTPConnection(next(self.addresses), self.port, timeout=LIMIT), "/")


class Api:
    """The servers of a cluster as behind a load balancer: one that does not answer is followed by the next one."""

    def __init__(self, lab: Lab) -> None:
        nodes = json.loads(lab.kubectl("get", "nodes", "-l", "node-role.kubernetes.io/control-plane", "-o", "json"))["items"]
        self.servers = [one["address"] for node in nodes for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
        self.context = admin(json.loads(lab.kubectl("config", "view", "--raw", "-o", "json")))

    def ask(self) -> bool:
        for server in list(self.servers):
            connection = http.client.HTTPSConnection(server, 6443, timeout=LIMIT / len(self.servers), context=self.context)
            if answers(connection, "/api/v1/namespaces/default"):
                return True
            # A load balancer asks it again after all others.
            self.servers.append(self.servers.pop(self.servers.index(server)))
        return False


def answers(connection: http.client.HTTPConnection, path: str) -> bool:
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def admin(config: dict) -> ssl.SSLContext:
    """The administrator's certificate; Python reads it from a file only."""
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "admin.pem"
        file.touch(mode=0o600)
        file.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        context.load_cert_chain(file)
    return context
