"""Dask: a real scheduler and workers say what one process says, also when one of them is killed."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from gateway import cli
from tests.gateway.city import city
from tests.gateway.test_replaying import Files
from tests.living import until
from tests.parts import Server, free_port, running

HOUSE = Path(__file__).parents[2]


class Cluster:
    """A scheduler and two workers, each a process."""

    def __init__(self, port: int, workers: list[Server]) -> None:
        self.address = f"dask://127.0.0.1:{port}"
        self.workers = workers

    @contextlib.contextmanager
    def one_killed_at_work(self) -> Iterator[list[int]]:
        """The first worker is killed as soon as it has something to do; its port is then in the list."""
        killed: list[int] = []
        connect: Any = distributed.Client
        with connect(self.address.replace("dask", "tcp"), set_as_default=False) as client:
            victim = self.workers[0]
            address = f"tcp://127.0.0.1:{victim.port}"

            def kill() -> None:
                until(lambda: client.processing()[address])
                victim.kill()
                killed.append(victim.port)

            murder = threading.Thread(target=kill)
            murder.start()
            yield killed
            murder.join()


@contextlib.contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    port = free_port()
    python = [sys.executable, "-m"]
    common = ["--no-dashboard"]
    with contextlib.ExitStack() as stack:
        scheduler = [*python, "distributed.cli.dask_scheduler", "--port", str(port), "--host", "127.0.0.1"]
        stack.enter_context(running([*scheduler, *common], port, folder / "scheduler.log"))
        started = []
        for number in range(workers):
            own = free_port()
            command = [
                *python, "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--nthreads", "1",
                "--no-nanny", "--worker-port", str(own), "--host", "127.0.0.1",
                "--local-directory", str(folder / f"worker-{number}"),
            ]  # fmt: skip
            started.append(stack.enter_context(running([*command, *common], own, folder / f"w{number}.log")))
        yield Cluster(port, started)


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find this very program, as an installed one would be found."""
    monkeypatch.setenv("PYTHONPATH", str(HOUSE))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("city"), city(11, hours=7))


def test_a_cluster_writes_the_same_file_though_a_worker_is_killed(files: Files, tmp_path: Path) -> None:
    alone = files.said()
    with cluster(tmp_path) as dask:
        assert files.said("--engine", dask.address) == alone
        with dask.one_killed_at_work() as killed:
            assert files.said("--engine", dask.address) == alone
        assert killed
        assert files.said("--engine", dask.address) == alone


def test_a_scheduler_that_is_not_there_is_named(
    files: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.parts.dask.CONNECT_S", 1.0)
    address = f"dask://127.0.0.1:{free_port()}"
    files.out.write_text("what was there before\n")

    assert files.replay("--engine", address) == 2
    said = capsys.readouterr().err
    assert f"--engine {address}: no scheduler answers there" in said
    assert "Traceback" not in said
    assert files.out.read_text() == "what was there before\n"


def test_a_scheduler_without_workers_is_named(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cluster(tmp_path, workers=0) as dask:
        assert files.replay("--engine", dask.address) == 2
    assert "no workers" in capsys.readouterr().err


def test_what_workers_cannot_read_for_themselves_is_named(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "readings.csv"
    path.write_text("time,channel,value\n")
    with cluster(tmp_path, workers=1) as dask:
        assert files.replay("--engine", dask.address, readings=path) == 2
    assert "on a path that they share" in capsys.readouterr().err


def test_the_extra_is_named_where_dask_is_not_installed(
    files: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    assert files.replay("--engine", "dask://127.0.0.1:8786") == 2
    assert "pip install 'watchline[dask]'" in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["replay", "--help"])
    assert "--jobs 2" in capsys.readouterr().out
