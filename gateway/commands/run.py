"""Run: the gateway, in the foreground, for systemd or a terminal."""

import argparse
import logging
import signal
import sys
from pathlib import Path

HELP = "run the gateway of a site"
EXAMPLE = "watchline run gateway.toml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", type=Path, help="gateway.toml")
    parser.add_argument("--verbose", action="store_true", help="log more than changes")


def run(args: argparse.Namespace) -> int:
    import os

    from gateway.daemon import Gateway
    from ingest.storage import StorageFailed

    os.umask(os.umask(0o077) | 0o007)  # what residents' wristbands measured is no other user's business

    log_to_stderr(logging.DEBUG if args.verbose else logging.INFO)
    gateway = Gateway(args.settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gateway.stop())
    try:
        gateway.run(ready=lambda: logging.info("watching %d channels", len(gateway.files.channels)))
    except StorageFailed as failure:
        print(f"{failure}; nothing was acknowledged since. Mend the disk and start again", file=sys.stderr)
        return 1
    return 0


def log_to_stderr(level: int) -> None:
    """One line an event; under systemd without the time, which the journal adds itself."""
    import os

    moment = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(level=level, format=f"{moment}%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("apscheduler", "pymodbus", "urllib3", "Rx"):
        logging.getLogger(chatty).setLevel(max(level, logging.ERROR))
