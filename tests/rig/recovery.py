"""Recovery: the gateway is started on what is left, hears again what it had not acknowledged, and stops."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from gateway.daemon import Gateway
from ingest.readings import ReadingBatch

SETTINGS = "recovery.toml"
WAIT_S = 60.0


def write_settings(folder: Path) -> None:
    """The site's own settings, without anybody far away."""
    text = (folder / "gateway.toml").read_text()
    kept = [part for part in text.split("[[")[0:] if not part.startswith(("notifier]]", "source]]"))]
    sources = [part for part in text.split("[[") if part.startswith("source]]")]
    archive = '[archive]\nfolder = "archive"\n'
    source = "[[" + sources[0].split("[archive]")[0]
    (folder / SETTINGS).write_text(kept[0] + source + archive)


def recover(folder: Path, again: Sequence[ReadingBatch]) -> list[str]:
    """Start, take `again`, stop tidily; what went wrong, in words."""
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
