"""Overlays: whatever staff, time, restarts and silence do, they mute what is told and never the record.

The invariants are those of ISA-18.2 alarm handling: what mutes and what holds are apart, and neither is lost.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.alert import AlertChange
from alerts.flood import FLOOD
from alerts.incidents import Alarm
from alerts.overlays import cap_of
from alerts.rules import worse
from alerts.states import Overlay
from config.channels import Channel, ChannelTable
from config.snapshot import pack, unpack
from detectors.findings import ALARM, WARNING
from ingest.ticks import SECOND_NS
from tests.alerts.world import CHANNELS, Site

TANKS = [f"s.{n}.level" for n in range(14)]  # enough of them at once are a flood of alarms
SITE = ChannelTable(
    [
        *(CHANNELS[number] for number in range(len(CHANNELS.ids))),
        *(
            Channel(id, "water", id.removesuffix(".level"), "level", "m", 60.0, zone=f"tank {n}")
            for n, id in enumerate(TANKS)
        ),
    ]
)
RULES = [
    *(("jump", id, "") for id in ("w.a.pressure", "w.b.pressure", "w.c.pressure", "p.a.voltage")),
    ("gas.ch4.high", "g.b.ch4", "well_gas"),  # inhibited by the next one
    ("gas.ch4.high_high", "g.b.ch4", "well_gas"),
    ("stuck", "w.c.pressure", "sensor_fault:stuck"),  # P4: never told
    ("fall", "band-7.fall", "fall"),
    ("sos", "band-7.sos", "sos"),  # P1: never shelved
    *(("level", id, "limit") for id in TANKS),
]
BY_STAFF = {Overlay.SHELVED, Overlay.OUT_OF_SERVICE}
points = st.sampled_from([(rule, channel) for rule, channel, _ in RULES[:11]])
channels = st.sampled_from(sorted({channel for _, channel, _ in RULES[:11]}))
spans = st.sampled_from([1.0, 60.0, 1200.0, 3600.0, 7 * 3600.0, 9 * 3600.0])


class Muting(RuleBasedStateMachine):
    """A site, and what a person who only sees its changes may hold it to."""

    def __init__(self) -> None:
        super().__init__()
        self.site = Site(RULES, channels=SITE)
        self.firing: set[str] = set()  # alerts that people were told of, and not yet of their end

    # --- what happens ---

    @rule(point=points, severity=st.sampled_from([WARNING, ALARM]))
    def turns_strange(self, point: tuple[str, str], severity: int) -> None:
        self.site.set(*point, severity, direction=-1)
        self.step(lambda: self.site.tick())
        held = {alarm.key for alarm in self.open() if alarm.active}
        assert f"{point[0]} {point[1]}" in held  # recorded, whatever lies over it

    @rule(count=st.integers(10, len(TANKS)))
    def many_turn_strange_at_once(self, count: int) -> None:
        for id in TANKS[:count]:
            self.site.set("level", id, ALARM)
        self.step(lambda: self.site.tick())

    @rule(point=points)
    def turns_calm(self, point: tuple[str, str]) -> None:
        self.site.calm(point)
        self.step(lambda: self.site.tick())

    @rule(seconds=spans)
    def time_passes_and_nothing_is_heard(self, seconds: float) -> None:
        before = self.signals()
        self.step(lambda: self.site.wait(seconds))
        assert before == self.signals()

    @rule()
    def the_process_dies_and_comes_back(self) -> None:
        before = unpack(pack(self.site.lifecycle.state()))
        overlays = self.site.lifecycle.overlays
        shelves, out, held = overlays.shelves, overlays.out_of_service, overlays.flood.held
        self.site.restart()
        overlays = self.site.lifecycle.overlays
        assert (overlays.shelves, overlays.out_of_service, overlays.flood.held) == (shelves, out, held)
        assert unpack(pack(self.site.lifecycle.state())) == before

    # --- what staff do ---

    @precondition(lambda self: self.open())
    @rule(data=st.data())
    def acknowledged(self, data: st.DataObject) -> None:
        alarm = self.drawn(data)
        was = alarm.active
        self.step(lambda: self.site.order("ack", alert_id=alarm.alert_id))
        assert alarm.active == was

    @precondition(lambda self: self.open())
    @rule(
        data=st.data(),
        seconds=st.none() | spans,
        one_shot=st.booleans(),
        reason=st.sampled_from(["", "known"]),
    )
    def shelved(self, data: st.DataObject, seconds: float | None, one_shot: bool, reason: str) -> None:
        alarm = self.drawn(data)
        body = {} if seconds is None else {"seconds": seconds}
        before = dict(self.site.lifecycle.overlays.shelves)
        self.step(
            lambda: self.site.order(
                "shelve", alert_id=alarm.alert_id, one_shot=one_shot, reason=reason, **body
            )
        )
        *_, result = self.site.lifecycle.command_results()
        too_long = seconds is not None and seconds > cap_of(alarm.grade)
        refused = alarm.grade == "P1" or not reason or too_long or (seconds is None and not one_shot)
        assert result.applied is not refused
        if refused:
            assert result.reason
            assert self.site.lifecycle.overlays.shelves.items() <= before.items()  # some may be up by now

    @precondition(lambda self: self.open() and self.site.lifecycle.overlays.shelves)
    @rule(data=st.data())
    def unshelved(self, data: st.DataObject) -> None:
        alarm = self.drawn(data)
        self.step(lambda: self.site.order("unshelve", alert_id=alarm.alert_id))

    @rule(channel=channels, whole_place=st.booleans(), hours=st.none() | st.sampled_from([1, 12]))
    def taken_out_of_service(self, channel: str, whole_place: bool, hours: int | None) -> None:
        where = {"place": SITE[SITE.number[channel]].place} if whole_place else {"channel": channel}
        until: dict[str, str] = {}
        if hours is not None:
            end_s = self.site.now_ns // SECOND_NS + hours * 3600
            until["until"] = datetime.fromtimestamp(end_s, UTC).isoformat()
        self.step(lambda: self.site.order("out_of_service", permit="W-7", **where, **until))

    @precondition(lambda self: self.site.lifecycle.overlays.out_of_service)
    @rule(data=st.data())
    def returned_to_service(self, data: st.DataObject) -> None:
        thing = data.draw(st.sampled_from(sorted(self.site.lifecycle.overlays.out_of_service)))
        what, _, name = thing.partition(":")
        self.step(lambda: self.site.order("out_of_service", **{what: name, "return": True}))

    # --- what must hold ---

    def step(self, act: Callable[[], list[AlertChange]]) -> None:
        """Do it; then look at what was said, and at what no longer lies over an alarm."""
        before = {alarm.alert_id: self.over(alarm) for alarm in self.open() if alarm.active}
        changes = act()
        for change in changes:
            self.look(change)
        told = {change.alert_id for change in changes if change.notify}
        for alarm in self.open():
            bared = before.get(alarm.alert_id, set()) & BY_STAFF and not self.over(alarm)
            if bared and alarm.active and alarm.grade != "P4":
                assert alarm.alert_id in told, f"{alarm.key} is on, unmuted, and nobody was told"

    def look(self, change: AlertChange) -> None:
        assert change.actor and change.rule and change.event_ns and change.detected_ns
        if change.type == "cleared":
            assert change.notify or change.alert_id not in self.firing, (
                "told that it is on, not that it ended"
            )
            self.firing.discard(change.alert_id)
        elif change.notify:
            assert "overlays" not in change.extra, "told although muted"
            assert change.grade != "P4"
            self.firing.add(change.alert_id)

    @invariant()
    def what_is_on_and_not_muted_has_been_told(self) -> None:
        for alarm in self.open():
            if alarm.active and alarm.grade != "P4" and not self.over(alarm):
                incident = self.site.lifecycle.incidents.open[alarm.incident]
                assert not worse(alarm.grade, incident.told)

    @invariant()
    def no_shelf_lasts_longer_than_its_grade_allows(self) -> None:
        shelves = self.site.lifecycle.overlays.shelves
        for alarm in self.open():
            shelf = shelves.get(alarm.key)
            if shelf is not None and alarm.active:
                assert shelf.until_ns - shelf.since_ns <= cap_of(alarm.grade) * SECOND_NS
                assert shelf.until_ns > self.site.now_ns or alarm.grade == "P1"

    @invariant()
    def a_flood_holds_back_what_is_on_and_no_more_than_p3(self) -> None:
        alarms = self.site.lifecycle.roll.alarms
        for key in self.site.lifecycle.overlays.flood.held:
            assert alarms[key].active
            assert alarms[key].grade == "P3"

    @invariant()
    def only_a_higher_level_that_is_on_inhibits_a_lower_one(self) -> None:
        on = {alarm.alert_id for alarm in self.open() if alarm.active}
        for alarm in self.open():
            if alarm.active and alarm.suppressed_by:
                assert alarm.rule == "gas.ch4.high"
                assert alarm.suppressed_by in on

    def open(self) -> list[Alarm]:
        return sorted(self.site.lifecycle.open_alarms(), key=lambda alarm: alarm.key)

    def signals(self) -> set[str]:
        """What is on of what was watched; that a flood is on is no signal, and ends with time."""
        return {alarm.alert_id for alarm in self.open() if alarm.active and alarm.key != FLOOD}

    def drawn(self, data: st.DataObject) -> Alarm:
        return self.site.lifecycle.roll.alarms[data.draw(st.sampled_from([one.key for one in self.open()]))]

    def over(self, alarm: Alarm) -> set[Overlay]:
        channel = SITE.ids[alarm.channel] if alarm.channel >= 0 else ""
        return set(self.site.lifecycle.overlays.of(alarm, channel))


TestMuting = Muting.TestCase
TestMuting.settings = settings(
    max_examples=80, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
