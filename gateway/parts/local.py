"""Local: workers that are processes of this machine; one that is killed is started anew."""

import contextlib
import multiprocessing
import queue
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from gateway.parts.part import Job, Said, WorkerLost, work

LIVES = 3  # that a part gets before we give up


class Local:
    """One process a part. Each part's news are an iterator of their own, read as far as anybody asks."""

    def __init__(self) -> None:
        self._crew: list[_Worker] = []

    def start(self, jobs: Sequence[Job]) -> list[Iterator[Said]]:
        self._crew = [_Worker(job, number) for number, job in enumerate(jobs)]
        return [worker.news() for worker in self._crew]

    @property
    def pids(self) -> list[int]:
        """The processes at work."""
        return [worker.pid for worker in self._crew]

    def stop(self) -> None:
        for worker in self._crew:
            worker.stop()


class _Worker:
    """A process, and a thread that takes what it says, so that it never waits for the others."""

    def __init__(self, job: Job, number: int) -> None:
        self._job = job
        self._number = number
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stopping = False
        self._start()
        self._thread = threading.Thread(target=self._listen, name=f"part-{number}", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def news(self) -> Iterator[Said]:
        """Everything the part says, to its end; what it raises is raised here."""
        while True:
            sort, what = self._said.get()
            if sort == "end":
                return
            if sort == "error":
                raise what
            yield what

    def stop(self) -> None:
        self._stopping = True
        self._process.kill()
        self._process.join()
        self._thread.join()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(self._job, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def _listen(self) -> None:
        """A worker that starts anew says the same again: what is known already is passed over."""
        known = 0
        for life in range(1, LIVES + 1):
            place = 0
            with contextlib.suppress(EOFError, OSError):
                while True:
                    sort, what = self._ours.recv()
                    place += 1
                    if place > known:
                        self._said.put((sort, what))
                        known = place
                    if sort != "news":
                        self._process.join()
                        return
            self._process.join()
            if self._stopping:
                return
            if life < LIVES:
                self._start()
        died = (
            f"the worker of part {self._number} died {LIVES} times (last exit code {self._process.exitcode})"
        )
        self._said.put(("error", WorkerLost(f"{died}; is there memory enough? try fewer --jobs")))


def _serve(job: Job, out: Connection) -> None:
    """In the worker's process."""
    import pyarrow as pa

    pa.set_cpu_count(1)  # the others have the other cores
    try:
        for news in work(job):
            out.send(("news", news))
        out.send(("end", None))
    except BrokenPipeError:
        pass
    except Exception as error:
        out.send(("error", error))
