"""Report: how a gateway is doing as plain values; from its journal alone, and from inside while it runs."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from alerts.alert import rfc3339
from alerts.outbox import Backlog, backlogs
from gateway.vitals import memory_bytes, peak_memory_bytes
from ingest.standing import Standing, read_standing
from ingest.ticks import SECOND_NS

if TYPE_CHECKING:
    from gateway.daemon import Gateway

SUSPECT_S = 5.0  # a device's clock that is off by more is named (domain practice)
DEVICES_NAMED = 20


class Report(TypedDict):
    """What `/status` and `watchline status --json` say. `live` is None of a gateway that does not run."""

    site: str
    name: str
    at: str
    well: bool
    trouble: str
    journal: dict[str, Any]
    ledger: dict[str, Any]
    couriers: dict[str, dict[str, Any]]
    receivers: dict[str, dict[str, Any]]
    live: dict[str, Any] | None


def from_journal(folder: Path, site: str, name: str) -> Report:
    """Of a gateway that runs or not; SettingsError where there is no journal."""
    return _report(*read_standing(folder, backlogs), site, name, time.time_ns())


def from_inside(gateway: "Gateway") -> Report:
    """Of a running gateway, from any thread."""
    site = gateway.settings.site
    standing = read_standing(site.data, backlogs)
    report = _report(*standing, site.id, site.name, gateway.clock.now_ns())
    report["trouble"] = gateway.trouble
    report["well"] = not report["trouble"]
    report["live"] = _live(gateway)
    return report


def _report(standing: Standing, backlog: Mapping[str, Backlog], site: str, name: str, now_ns: int) -> Report:
    couriers = {
        courier: {"pending": books.pending, **_age(standing.oldest_pending_ns.get(courier, 0), now_ns)}
        for courier, books in standing.ledger.couriers.items()
    }
    receivers = {
        receiver: {
            "waiting": those.waiting,
            "refused": those.refused,
            **_age(those.oldest_ns if those.waiting else 0, now_ns),
        }
        for receiver, those in backlog.items()
    }
    return {
        "site": site,
        "name": name,
        "at": rfc3339(now_ns),
        "well": False,
        "trouble": "it does not run",
        "journal": {
            "last_tick": rfc3339(standing.last_tick_ns) if standing.last_tick_ns else None,
            "clock_good": standing.clock_good,
            "bytes": standing.size_bytes,
            "dead_letters": standing.dead_letters,
        },
        "ledger": standing.ledger.as_dict(),
        "couriers": couriers,
        "receivers": receivers,
        "live": None,
    }


def _age(oldest_ns: int, now_ns: int) -> dict[str, Any]:
    """How long the oldest of what waits has been waiting."""
    if not oldest_ns:
        return {"oldest": None, "age_s": 0.0}
    return {"oldest": rfc3339(oldest_ns), "age_s": round(max(0, now_ns - oldest_ns) / SECOND_NS, 1)}


def _live(gateway: "Gateway") -> dict[str, Any]:
    """What only the process itself knows."""
    vitals, watch = gateway.vitals, gateway.watch
    now_s = time.monotonic()
    clocks = [] if watch is None else watch.bank.device_clocks()
    off = sorted((c for c in clocks if abs(c.offset_s) > SUSPECT_S), key=lambda c: -abs(c.offset_s))
    return {
        "uptime_s": round(now_s - vitals.started_s, 1),
        "ticks": vitals.ticks,
        "readings": vitals.readings,
        "last_tick_age_s": round(now_s - vitals.last_tick_s, 2) if vitals.ticks else None,
        "tick_lateness_s": {name: vitals.lateness_s(share) for name, share in LATENESS.items()},
        "memory_bytes": memory_bytes(),
        "peak_memory_bytes": peak_memory_bytes(),
        "alarms": {grade: vitals.alarms[grade] for grade in ("P1", "P2", "P3", "P4")},
        "alarm_flood": watch is not None and watch.lifecycle.overlays.flood.on,
        "learning": watch is None or watch.surroundings.learning(),
        "storage_failure": str(gateway.storage.failure or ""),
        "proof_of_life_age_s": gateway.proof.age_s(gateway.clock.now_ns()) if gateway.proof else None,
        "sources": gateway.sources_up(),
        "waiting_for": gateway.troubles(),
        "clock": {
            "good": gateway.clock.good,
            "ahead_of_wall_s": round(gateway.clock.ahead_ns() / SECOND_NS, 3),
            "epochs": dict(vitals.epochs),
            "devices": len(clocks),
            "devices_off": len(off),
            "farthest_off": [
                {"device": c.device, "offset_s": round(c.offset_s, 1), "flagged": c.wrong}
                for c in off[:DEVICES_NAMED]
            ],
        },
    }


LATENESS = {"p50": 0.5, "p99": 0.99, "max": 1.0}
