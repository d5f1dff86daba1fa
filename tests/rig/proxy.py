"""Proxy: a wire that can be cut: between a gateway and a far side it passes on, holds, refuses or resets."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

START_S = 10.0
CHUNK = 1 << 16


class Proxy:
    """Listens on a free port of 127.0.0.1 and connects callers with the port `target`; has its own thread.

    `mode`: "ok"; "hole": connections are accepted and stay up, and nothing passes; "refuse": callers are
    thrown out at once. May be set from any thread, and acts on open connections too.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.resets = 0
        self._mode = "ok"
        self._open = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._mode = mode
        self._loop.call_soon_threadsafe(self._open.clear if mode == "hole" else self._open.set)

    def reset_all(self) -> None:
        """Every connection ends with a TCP reset."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(self._reset)
        self._loop.call_soon_threadsafe(done.set)
        done.wait(START_S)

    def start(self) -> None:
        self._thread.start()
        if not self._started.wait(START_S):
            raise RuntimeError("the proxy did not start")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._open.set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        self._open.set()
        self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
            self.resets += 1
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._open.wait()
        if self._mode == "refuse":
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one side ends; then the other is told."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
        self._writers.discard(writer)


@contextlib.contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """A wire for the time of a `with`."""
    wire = Proxy(target)
    wire.start()
    try:
        yield wire
    finally:
        wire.stop()
