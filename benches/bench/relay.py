# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A distant Proxmox host: a port of this machine whose bytes reach the host's sshd, and come back, after a delay.

It needs no kernel module (many kernels have no `netem`) and touches no network device, so nothing is left of it where a run is
killed. What differs from a distant host: TCP's own handshake is not delayed, one round trip in each new connection.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 1 << 16


@contextmanager
def relay(host: str, port: int, round_trip: float) -> Iterator[int]:
    """The port that leads to the host's, with that many seconds for a round trip."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = serve(host, port, round_trip / 2)
    server = asyncio.run_coroutine_threadsafe(serving, loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def end(server: asyncio.Server) -> None:
    """Also the connections that ssh has kept open."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def serve(host: str, port: int, delay: float) -> asyncio.Server:
    async def forward(near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far_in, far_out = await asyncio.open_connection(host, port)
        try:
            # What `end` cancels would be logged as a fault of this function.
            with suppress(asyncio.CancelledError):
                await asyncio.gather(carry(near_in, far_out, delay), carry(far_in, near_out, delay), return_exceptions=True)
        finally:
            near_out.close()
            far_out.close()

    return await asyncio.start_server(forward, "127.0.0.1", 0)


async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float) -> None:
    """One direction. Bytes follow each other as they came: a delay, not a limit of what goes through."""
    clock = asyncio.get_running_loop().time
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def receive() -> None:
        chunk = b"-"
        while chunk:
            try:
                chunk = await source.read(CHUNK)
            except ConnectionError:
                # An end like any other to the one who listens.
                chunk = b""
            under_way.put_nowait((clock() + delay, chunk))

    receiving = asyncio.create_task(receive())
    try:
        while (arrival := await under_way.get())[1]:
            await asyncio.sleep(arrival[0] - clock())
            sink.write(arrival[1])
            await sink.drain()
        # The other direction may still have something to say.
        sink.write_eof()
    finally:
        receiving.cancel()
