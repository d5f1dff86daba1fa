"""Proof of life: every few minutes a made-up reading walks the way of a real one, up to the centre's receipt.

It goes through a detector and an alarm of its own, the outbox, the sender and the centre, as an event of a
type that people are not told. Where any of these stands still, the age of the last receipt grows.
"""

import threading
from collections.abc import Mapping
from typing import Any

from alerts.alert import rfc3339
from config.channels import Channel, ChannelTable
from gateway.watch import build_watch
from ingest.readings import ReadingBatch
from ingest.ticks import SECOND_NS, Tick

PROOF = "city.linkage.node.proof.v1"
EVERY_NS = 300 * SECOND_NS
CHANNELS = ChannelTable([Channel("proof.ch4", "gas", "proof", "ch4", "%{LEL}", 1.0)])
GAS = 60.0  # %LEL: above the second level, which alarms at once


class Proof:
    """`due` in the thread of the ticks; `receipt` and `age_s` from any."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._next_ns = 0
        self._proved_ns = 0
        self._lock = threading.Lock()

    def due(self, now_ns: int) -> list[Mapping[str, Any]]:
        """The proof to be committed with this tick, if it is time and the detector has seen the reading."""
        if 0 < self._next_ns - now_ns <= EVERY_NS:  # further off: the clock was set back
            return []
        self._next_ns = now_ns + EVERY_NS
        if not noticed(now_ns):
            return []
        return [
            {
                "specversion": "1.0",
                "id": f"proof-{self._site}-{now_ns}",
                "source": f"urn:watchline:{self._site}",
                "type": PROOF,
                "time": rfc3339(now_ns),
                "datacontenttype": "application/json",
                "data": {"grade": "P4"},
            }
        ]

    def receipt(self, event_id: str) -> None:
        """The centre has confirmed an event; other events than proofs are none of ours."""
        prefix = f"proof-{self._site}-"
        if event_id.startswith(prefix):
            with self._lock:
                self._proved_ns = max(self._proved_ns, int(event_id.removeprefix(prefix)))

    def age_s(self, now_ns: int) -> float | None:
        """Since the last proof that the centre confirmed was made; None before the first."""
        with self._lock:
            proved_ns = self._proved_ns
        return (now_ns - proved_ns) / SECOND_NS if proved_ns else None


def noticed(now_ns: int) -> bool:
    """Whether a fresh watch over one gas detector raises an alarm at a reading that must raise one."""
    watch = build_watch(CHANNELS)
    reading = ReadingBatch.of([0], [now_ns], [GAS])
    changes = watch.step(Tick(now_ns, reading))
    return any(change.type == "raised" and change.notify for change in changes)
