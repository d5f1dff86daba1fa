"""Machine: disk and clock."""

import ctypes
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from config.load import SiteFiles
from gateway.doctor.complaint import Complaint, advice, fine, problem
from ingest.ticks import SECOND_NS
from ingest.wallclock import EARLIEST_GOOD_NS

LEAST_FREE = 512 << 20
LEAST_SHARE = 0.02
STA_UNSYNC = 0x40  # adjtimex(2)
TIMEX_BYTES, STATUS_AT = 208, 40  # struct timex of 64-bit Linux: `status` behind five longs


def examine(site: SiteFiles) -> Iterator[Complaint]:
    yield from _disk(site)
    yield from examine_clock(time.time_ns())


def _disk(site: SiteFiles) -> Iterator[Complaint]:
    settings = site.settings
    folders = {
        settings.site.data: "journal",
        **({settings.archive.folder: "archive"} if settings.archive else {}),
    }
    for folder, what in folders.items():
        place = _existing(folder)
        total, _, free = shutil.disk_usage(place)
        told = f"{free / 2**30:.1f} GiB of {total / 2**30:.1f} GiB are free for the {what} ({folder})"
        if not os.access(place, os.W_OK):
            yield problem("disk", f"{place} cannot be written by this user", "correct its owner and rights")
        elif free < LEAST_FREE or free < LEAST_SHARE * total:
            yield problem("disk", told, "make room: a full disk stops the gateway")
        elif what == "journal" and _backlog_left(site) > free:
            yield advice(
                "disk",
                f"{told}, and a backlog may grow to {settings.site.backlog_bytes / 2**30:.1f} GiB",
                "make room, or lower backlog_bytes",
            )
        else:
            yield fine("disk", told)


def _backlog_left(site: SiteFiles) -> int:
    """How much the journal may still grow; nothing waits where nothing is carried away."""
    settings = site.settings
    if settings.influxdb is None and settings.archive is None:
        return 0
    taken = sum(file.stat().st_size for file in settings.site.data.glob("journal*"))
    return max(0, settings.site.backlog_bytes - taken)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def examine_clock(now_ns: int) -> Iterator[Complaint]:
    """What the wall clock shows, and whether anybody keeps it."""
    about, shown = "clock", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ns // SECOND_NS))
    if now_ns < EARLIEST_GOOD_NS:
        do = "set it, and let it be kept (chrony, systemd-timesyncd)"
        yield problem(about, f"it shows {shown}: until it is set no reading is called late or early", do)
        return
    synchronised = is_synchronised()
    if synchronised is None:
        yield fine(about, f"shows {shown}; whether a time server keeps it cannot be seen here")
    elif synchronised:
        yield fine(about, f"shows {shown}, kept by a time server")
    else:
        do = "turn on chrony or systemd-timesyncd; alarms compare times to the second"
        yield advice(about, f"shows {shown}, and no time server keeps it", do)


def is_synchronised() -> bool | None:
    """Whether the kernel holds the clock for synchronised (adjtimex, read only); None: it does not tell."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    timex = ctypes.create_string_buffer(TIMEX_BYTES)  # modes = 0: nothing is set
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    status = ctypes.c_int.from_buffer_copy(timex.raw, STATUS_AT).value
    return not status & STA_UNSYNC
