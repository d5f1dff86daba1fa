"""Recovery: the gateway is started on what is left, hears again what it had not acknowledged, and stops.

A stop gives the archive ten seconds; what a busy machine did not write then waits in the journal, as it may.
So that the oracle can look into the archive, the gateway is started and stopped again until nothing waits.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from gateway.daemon import Gateway
from ingest.ledger import read_ledger
from ingest.readings import ReadingBatch
from tests import living
from tests.living import WAIT_S

SETTINGS = "recovery.toml"
STOPS = 5


def write_settings(folder: Path) -> None:
    """The site's own settings, without anybody far away."""
    text = (folder / "gateway.toml").read_text()
    kept = [part for part in text.split("[[")[0:] if not part.startswith(("notifier]]", "source]]"))]
    sources = [part for part in text.split("[[") if part.startswith("source]]")]
    archive = '[archive]\nfolder = "archive"\n'
    source = "[[" + sources[0].split("[archive]")[0]
    (folder / SETTINGS).write_text(kept[0] + source + archive)


def all_archived(data: Path) -> bool:
    courier = read_ledger(data).couriers.get("archive")
    return courier is None or not courier.pending


def stopped(one: living.Gateway) -> int:
    """Stop a gateway that is a process of its own, with all of it archived; its exit code."""
    for stop in range(STOPS):
        if stop:
            one.start()
            one.ready()
        if (code := one.stop()) or all_archived(one.data):
            break
    return code


def recover(folder: Path, again: Sequence[ReadingBatch]) -> list[str]:
    """Start, take `again`, stop tidily with all of it archived; what went wrong, in words."""
    for _ in range(STOPS):
        if (found := _lived(folder, again)) or all_archived(folder / "data"):
            break
        again = []
    return found


def _lived(folder: Path, again: Sequence[ReadingBatch]) -> list[str]:
    logging.disable(logging.CRITICAL)
    gateway = Gateway(folder / SETTINGS)
    ready, ended = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def live() -> None:
        try:
            gateway.run(ready.set)
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()
            ready.set()

    thread = threading.Thread(target=live, name="recovery", daemon=True)
    thread.start()
    if not ready.wait(WAIT_S):
        return ["the gateway did not come up"]
    if not errors:
        kept = threading.Semaphore(0)
        for batch in again:
            gateway.storage.deliver(batch, kept.release, "mqtt")
        if not all(kept.acquire(timeout=WAIT_S) for _ in again):
            return ["what was sent again was not acknowledged"]
    gateway.stop()
    if not ended.wait(WAIT_S):
        return ["the gateway did not stop"]
    return [f"the gateway ended by an error: {type(error).__name__}: {error}" for error in errors]
