"""World: a small site in which the tests of the alerts make things strange and calm again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from alerts.alert import AlertChange
from alerts.lifecycle import Lifecycle
from config.channels import Channel, ChannelTable, Link, Planned
from config.snapshot import pack, unpack
from detectors.findings import ALARM, CALM, Explanation, Findings, Points
from ingest.ticks import SECOND_NS, Command

START_NS = 1_767_571_200 * SECOND_NS  # 2026-01-05T00:00:00Z
CHANNELS = ChannelTable(
    [
        Channel("w.a.pressure", "water", "w.a", "pressure", "kPa", 60.0, zone="north", nominal=300.0),
        Channel("w.a.flow", "water", "w.a", "flow", "m3/h", 60.0, zone="north"),
        Channel("w.b.pressure", "water", "w.b", "pressure", "kPa", 60.0, zone="north", nominal=300.0),
        Channel("w.c.pressure", "water", "w.c", "pressure", "kPa", 60.0, zone="south", nominal=300.0),
        Channel("g.a.pressure", "gas", "g.a", "pressure", "kPa", 60.0, zone="north", nominal=300.0),
        Channel("g.a.flow", "gas", "g.a", "flow", "m3/h", 60.0, zone="north"),
        Channel("g.b.ch4", "gas", "g.b", "ch4", "%{LEL}", 60.0, zone="north"),
        Channel("p.a.voltage", "power", "p.a", "voltage", "V", 60.0, nominal=220.0, lat=30.66, lon=104.12),
        Channel("p.b.voltage_min", "power", "p.b", "voltage_min", "V", 60.0, zone="east", nominal=220.0),
        Channel("p.c.voltage_min", "power", "p.c", "voltage_min", "V", 60.0, zone="west", nominal=220.0),
        Channel("band-7.heart_rate", "wristband", "person-7", "heart_rate", "/min", 60.0, zone="north"),
        Channel("band-7.fall", "wristband", "person-7", "fall", "1", 60.0, zone="north"),
        Channel("band-7.sos", "wristband", "person-7", "sos", "1", 60.0, zone="north"),
        Channel("band-8.fall", "wristband", "person-8", "fall", "1", 60.0, zone="north"),
    ]
)
LINKS = (
    Link("w.a", "w.b", "pipe"),
    Link("w.b", "w.far", "pipe"),
    Link("w.far", "w.near", "pipe"),
    Link("w.near", "w.c", "pipe"),
)


class Around:
    """A plot for every channel, also for wristbands, so that the tests see who leaves it out."""

    warm: frozenset[int] = frozenset()

    def in_warmup(self, channel: int) -> bool:
        return channel in self.warm

    def recent(self, channel: int) -> Mapping[str, Any] | None:
        return {"values": [1.0, 2.0], "period_s": 60.0}


def points_of(
    rules: Sequence[tuple[str, str, str]],
    *,
    on_delay_s: float = 0.0,
    off_delay_s: float = 0.0,
    on_samples: int = 1,
    latching: Sequence[str] = (),
    channels: ChannelTable = CHANNELS,
) -> Points:
    """Points from (rule, channel id, kind)."""
    size = len(rules)
    return Points(
        tuple(rule for rule, _, _ in rules),
        np.array([channels.number[channel] for _, channel, _ in rules], dtype=np.int32),
        tuple(kind for _, _, kind in rules),
        np.full(size, on_delay_s),
        np.full(size, off_delay_s),
        np.full(size, on_samples, dtype=np.int32),
        np.array([rule in latching for rule, _, _ in rules], dtype=bool),
    )


EVERY_RULE = [
    *(("jump", id, "") for id in CHANNELS.ids),
    *(("drift", id, "") for id in CHANNELS.ids),
    *(("stuck", id, "sensor_fault:stuck") for id in CHANNELS.ids),
    *(("silence", id, "sensor_fault:dropout") for id in CHANNELS.ids),
    ("gas.ch4.high", "g.b.ch4", "well_gas"),
    ("gas.ch4.high_high", "g.b.ch4", "well_gas"),
    ("fall", "band-7.fall", "fall"),
    ("fall", "band-8.fall", "fall"),
    ("sos", "band-7.sos", "sos"),
]


class Site:
    """Drives a lifecycle in ticks. What is not said to be strange keeps the verdict that it had."""

    def __init__(
        self,
        rules: Sequence[tuple[str, str, str]] = EVERY_RULE,
        *,
        links: Sequence[Link] = (),
        planned: Sequence[Planned] = (),
        channels: ChannelTable = CHANNELS,
        **delays: Any,
    ) -> None:
        self.channels = channels
        self.points = points_of(rules, channels=channels, **delays)
        self.number = {(rule, id): point for point, (rule, id, _) in enumerate(rules)}
        self.links, self.planned = links, planned
        self.lifecycle = self._fresh()
        self.around = Around()
        self.now_ns = START_NS
        self.severity = np.zeros(len(rules), dtype=np.uint8)
        self.direction = np.zeros(len(rules), dtype=np.int8)
        self.value: dict[int, float] = {}
        self.changes: list[AlertChange] = []
        self.sentence = ""
        self.score = 0.6  # of what is strange

    def set(
        self, rule: str, channel: str, severity: int = ALARM, direction: int = 0, value: float = 251.0
    ) -> None:
        point = self.number[rule, channel]
        self.severity[point] = severity
        self.direction[point] = direction
        self.value[point] = value

    def calm(self, *points: tuple[str, str]) -> None:
        for point in points or self.number:
            self.severity[self.number[point]] = CALM

    def tick(
        self,
        after_s: float = 1.0,
        *,
        commands: Sequence[Command] = (),
        heard: Any = True,
        judged: bool = True,
        anew: Sequence[tuple[str, str]] = (),
    ) -> list[AlertChange]:
        """One tick later: what it changed. anew: points of which it has just happened."""
        self.now_ns += round(after_s * SECOND_NS)
        size = len(self.points)
        heard = np.broadcast_to(np.asarray(heard, dtype=bool), (size,))
        verdict = Findings(
            self.points,
            np.where(self.severity > CALM, self.score, 0.0),
            self.severity.copy(),
            heard,
            np.full(size, self.now_ns - SECOND_NS),
            self._explain,
            np.isin(np.arange(size), [self.number[point] for point in anew]) if anew else None,
        )
        changes = self.lifecycle.update([verdict] if judged else [], commands, self.now_ns, self.around)
        self.changes += changes
        return changes

    def wait(self, seconds: float) -> list[AlertChange]:
        """Nothing is heard for a while; every deadline on the way gets its tick, as in a replay."""
        end_ns = self.now_ns + round(seconds * SECOND_NS)
        said: list[AlertChange] = []
        while (due_ns := self.lifecycle.next_deadline_ns()) is not None and due_ns <= end_ns:
            due_ns = max(due_ns, self.now_ns + SECOND_NS)
            said += self.tick((due_ns - self.now_ns) / SECOND_NS, judged=False)
        self.now_ns = max(self.now_ns, end_ns)
        return said

    def order(self, kind: str, **body: Any) -> list[AlertChange]:
        """A command in a tick in which nothing is heard."""
        command = Command(f"c{len(self.changes)}-{self.now_ns}", kind, body, "li.wei", self.now_ns)
        return self.tick(commands=[command], judged=False)

    def restart(self) -> None:
        """The process dies and comes back from its snapshot."""
        state = unpack(pack(self.lifecycle.state()))
        self.lifecycle = self._fresh()
        self.lifecycle.restore(state)

    def _fresh(self) -> Lifecycle:
        return Lifecycle(self.channels, self.links, points=[self.points], planned=self.planned)

    def _explain(self, point: int) -> Explanation:
        value, unit = self.value.get(point, 1.0), self.channels.unit[self.points.channel[point]]
        observed = {"value": np.float64(value), "unit": unit, "quality": "good"}
        return Explanation(
            self.sentence or "Pressure fell suddenly: 251 kPa, expected 300",
            int(self.direction[point]),
            observed,
            {"expected": np.float64(300.0)},
        )
