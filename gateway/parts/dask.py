"""Dask: workers of a Dask cluster that is there already; it starts a lost part anew on another worker.

Every worker reads the recording itself, so that its path must lead to the same files on each of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from config.errors import InputError
from gateway.parts.part import Job, Said, WorkerLost, work

CONNECT_S = 10.0
RETRIES = 3


class Dask:
    """One task a part on `dask://host:port`."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ModuleNotFoundError as error:
            raise InputError(
                f"--engine {address} needs {error.name}: run  pip install 'watchline[dask]'"
            ) from error
        place = address.removeprefix("dask://")
        host, _, port = place.rpartition(":")
        if not host or not port.isdigit():
            raise InputError(f"--engine {address}: write dask://host:port, such as dask://127.0.0.1:8786")
        try:
            connect: Any = distributed.Client
            self._client: Any = connect(f"tcp://{place}", timeout=CONNECT_S, set_as_default=False)
        except OSError as error:
            reason = f"--engine {address}: no scheduler answers there: {error}"
            raise InputError(f"{reason}; start one with: dask scheduler") from error
        self._futures: list[Any] = []

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self._client.nthreads())

    def start(self, jobs: Sequence[Job]) -> list[Iterator[Said]]:
        if not self.workers:
            raise InputError("--engine: the scheduler has no workers; start some with: dask worker ADDRESS")
        self._futures = [self._client.submit(done, job, pure=False, retries=RETRIES) for job in jobs]
        return [self._news(future) for future in self._futures]

    def stop(self) -> None:
        """Give up what is still under way; it may be asked to start again."""
        self._client.cancel(self._futures)
        self._futures = []

    def close(self) -> None:
        self._client.close()

    def _news(self, future: Any) -> Iterator[Said]:
        try:
            said = future.result()
        except ModuleNotFoundError as error:
            raise WorkerLost(
                f"a Dask worker has no module {error.name}; install the same watchline there"
            ) from error
        except Exception as error:
            if type(error).__module__.startswith("distributed"):
                raise WorkerLost(f"Dask gave a part up: {error}") from error
            raise
        yield from said


def done(job: Job) -> list[Said]:
    """A whole part, on a worker of the cluster."""
    return list(work(job))
