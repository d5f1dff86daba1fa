"""Daemon: the gateway process; it starts what waits (sources, couriers, senders) and keeps the watch."""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from config.daykinds import country_of, prepare
from config.load import read_site
from gateway.field import Field
from gateway.vitals import Systemd, Vitals
from ingest.storage import Limits, Recovery, Storage
from ingest.ticks import SECOND_NS, Epoch, Tick
from ingest.wallclock import WallClock

if TYPE_CHECKING:
    from alerts.alert import AlertChange
    from alerts.notifiers.base import Notifier
    from gateway.health import Health
    from gateway.housekeeping import Housekeeping
    from gateway.proof import Proof
    from gateway.subscription import Subscription
    from gateway.watch import Watch
    from ingest.courier import Carrier

log = logging.getLogger(__name__)

CENTRE = "centre"  # the name of the linkage centre's place in the outbox


class Waiting(Protocol):
    """What waits for somebody far away; `trouble` says why nothing moves there, "" = all is well."""

    @property
    def name(self) -> str: ...
    @property
    def trouble(self) -> str: ...


class Carrying(Waiting, Protocol):
    """A courier or a sender, in its own thread."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Gateway:
    """One site's gateway, from its settings file to a clean stop.

    Sources are started before the detectors are even loaded: arrivals are durable from the first poll,
    and are judged as soon as the watch stands.
    """

    def __init__(self, path: Path, clock: WallClock | None = None) -> None:
        """Reads every file of the site; SettingsError lists all mistakes."""
        self.files = read_site(path)
        self.settings = self.files.settings
        for warning in self.files.warnings:
            log.warning("%s", warning)
        site = self.settings.site
        self.source = f"urn:watchline:{site.id}"
        self.clock = clock or WallClock()
        limits = Limits(int(site.backlog_s * SECOND_NS), site.backlog_bytes)
        self.storage = Storage(site.data, self.files.channels, self.clock, limits)
        self.vitals = Vitals()
        self.proof: Proof | None = None  # where there is a centre to give a receipt
        self.systemd = Systemd()
        self.storage.while_waiting = lambda: self.systemd.say("WATCHDOG=1")  # a full disk is no hang
        self.watch: Watch | None = None  # until its memories are loaded
        self._stopping = threading.Event()
        self._subscriptions: list[Subscription] = []
        self._carriers: list[Carrying] = []

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Until `stop`; `ready` is called when the first tick is committed."""
        health = self._health()
        recovery = self.storage.open()
        self.storage.start()
        self._field = self._start_sources()
        housekeeping = self._housekeeping()
        if health is not None:
            health.start()
        try:
            from gateway.watch import keep_watch, with_deadlines  # now: it takes longer than a first poll

            watch = self.watch = self._watch_as_it_was(recovery)
            if self.settings.centre is not None:
                from gateway.proof import Proof

                self.proof = Proof(self.settings.site.id)
            self.vitals.hold(alarm.grade for alarm in watch.lifecycle.open_alarms())
            self._start_carriers(watch)
            housekeeping.start()
            ticks = self._ticks(recovery.last_tick_ns, watch.now_ns, ready)
            keep_watch(with_deadlines(ticks, watch), watch, Record(self, watch))
        finally:
            self.systemd.say("STOPPING=1")
            self._field.stop()
            housekeeping.stop()
            if health is not None:
                health.stop()
            self._stop_carriers()
            self.storage.stop()
            for subscription in self._subscriptions:
                subscription.close()

    def stop(self) -> None:
        """Ask for the end: the tick under way is finished, memories are saved. From any thread."""
        self._stopping.set()
        self.storage.hurry()

    @property
    def trouble(self) -> str:
        """Why this gateway does not do its work; "" where ticks progress and the journal can be written."""
        failure = self.storage.failure
        if failure is not None:
            return f"the journal cannot be written: {failure}"
        return self.storage.trouble or self.vitals.trouble

    def troubles(self) -> dict[str, str]:
        """What waits for somebody far away, and why."""
        waiting: list[Waiting] = [self.storage, self._field, *self._subscriptions, *self._carriers]
        return {one.name: one.trouble for one in waiting if one.trouble}

    def sources_up(self) -> dict[str, bool]:
        """Whether each source answers."""
        polled = {standing.name: standing.up for standing in self._field.standings}
        return polled | {one.name: one.up for one in self._subscriptions}

    def status(self, watch: "Watch") -> Mapping[str, Any]:
        """For heartbeats: how this gateway is doing, and what it holds to be wrong."""
        return {
            "site": self.settings.site.id,
            "name": self.settings.site.name,
            "channels": len(self.files.channels),
            "learning": watch.surroundings.learning(),
            "open_alarms": [alarm.alert_id for alarm in watch.lifecycle.open_alarms()],
            "trouble": self.troubles(),
            **self.vitals.summary(),
        }

    def _start_sources(self) -> Field:
        """MQTT sockets live in the storage thread, everything that waits for devices in the field thread."""
        site, channels, now_ns = self.settings.site, self.files.channels, self.clock.now_ns
        polled = []
        for source in self.files.sources:
            if hasattr(source, "subscription"):
                self._subscriptions.append(source.subscription(channels, self.storage, now_ns, site.id))
                self.storage.host(self._subscriptions[-1])
            else:
                polled.append(source)
        field = Field(polled, channels, self.storage, now_ns)
        field.start()
        return field

    def _watch_as_it_was(self, recovery: Recovery) -> "Watch":
        """The watch with the memories of the last snapshot, stepped through the journal's tail."""
        from gateway.watch import build_watch, with_deadlines

        site = self.settings.site
        prepare(country_of(site.timezone), [datetime.now(ZoneInfo(site.timezone)).year])
        watch = build_watch(
            self.files.channels,
            links=self.files.links,
            planned=self.files.planned,
            watchings=self.settings.watching,
            timezone=site.timezone,
            warmup_s=site.warmup_s,
        )
        if recovery.snapshot is not None:
            watch.restore(recovery.snapshot)
        for tick in with_deadlines(recovery.ticks, watch):
            watch.step(tick)  # what came of it is in the outbox already
            watch.lifecycle.command_results()
        return watch

    def _start_carriers(self, watch: "Watch") -> None:
        """Couriers to far stores and senders to receivers, each in its own thread."""
        from alerts.delivery import Delivery
        from alerts.notifiers.base import Home
        from alerts.outbox import retire as retire_receivers
        from alerts.standby import standby_of
        from ingest.courier import Courier, retire

        home = Home(
            self.settings.site.id,
            lambda: self.status(watch),
            self.storage.command,
            lambda: watch.lifecycle.duties,
            self._receipt,
        )
        standbys = {entry.label: standby_of(entry) for entry in self.settings.notifier}
        couriers = [Courier(self.storage, store) for store in self._far_stores()]
        senders = [
            Delivery(self.storage, told, name, home, standby=standbys.get(name))
            for name, told in self._receivers().items()
        ]
        retire_receivers(self.storage, [sender.name for sender in senders])
        retire(self.storage, [courier.name for courier in couriers])
        for sender in senders:
            sender.register()
        self._carriers = [*couriers, *senders]
        for carrier in self._carriers:
            carrier.start()

    def _receipt(self, event_id: str) -> None:
        if self.proof is not None:
            self.proof.receipt(event_id)

    def _stop_carriers(self) -> None:
        """All at once: a receiver that does not answer holds up itself alone."""
        ends = [threading.Thread(target=carrier.stop) for carrier in self._carriers]
        for end in ends:
            end.start()
        for end in ends:
            end.join()

    def _health(self) -> "Health | None":
        """The server that tells of this gateway, where the settings want one."""
        if (metrics := self.settings.metrics) is None:
            return None
        from gateway.health import Health
        from gateway.report import from_inside

        return Health(metrics.host, metrics.port, lambda: self.trouble, lambda: from_inside(self))

    def _housekeeping(self) -> "Housekeeping":
        from gateway.housekeeping import Daily, Housekeeping
        from gateway.weekly import Weekly

        daily = Daily(self.storage, self.clock, self.settings.site.id, self.files.hash)
        jobs = {**daily.jobs(), "report": Weekly(self.files, self.clock.now_ns).write}
        return Housekeeping(self.settings.site.timezone, jobs, at_once=daily.catch_up)

    def _far_stores(self) -> list["Carrier"]:
        stores: list[Carrier] = []
        if (influx := self.settings.influxdb) is not None:
            from ingest.influx import buckets

            stores += buckets(
                influx.url,
                influx.bucket,
                influx.token.reveal() if influx.token else "",
                influx.org,
                influx.wristband_bucket or "",
                influx.wristband_token.reveal() if influx.wristband_token else "",
                influx.timeout_s,
                influx.batch,
            )
        if (archive := self.settings.archive) is not None:
            from ingest.archive import Archive

            keep_ns = None if archive.keep_s is None else int(archive.keep_s * SECOND_NS)
            stores.append(Archive(archive.folder, self.clock.now_ns, keep_ns, archive.keep_bytes))
        return stores

    def _receivers(self) -> dict[str, "Notifier"]:
        receivers: dict[str, Notifier] = {entry.label: entry.build() for entry in self.settings.notifier}
        if (centre := self.settings.centre) is not None:
            from alerts.notifiers.centre import Centre

            receivers[CENTRE] = Centre(centre.url, centre.secret, centre.heartbeat_s)
        return receivers

    def _ticks(self, last_ns: int, watched_ns: int, ready: Callable[[], None]) -> Iterator[Tick]:
        """A tick a second until stopped, and one that says so; each is committed before the next is asked."""
        epoch: Epoch | None = self._epoch("start", watched_ns)
        now_ns = self.clock.next_tick_ns(last_ns)
        while self.clock.wait_until(now_ns, self._stopping):
            tick = self.storage.close_tick(now_ns, epoch)
            yield tick
            if not self.vitals.ticks:
                self.systemd.say("READY=1")
                ready()
            self.systemd.say("WATCHDOG=1")
            if tick.epoch is not None:
                self.vitals.epochs[tick.epoch.reason] += 1
            self.vitals.ticked((self.clock.now_ns() - now_ns) / SECOND_NS, len(tick.readings))
            watched_ns = now_ns
            stepped = self.clock.epoch_if_stepped()
            epoch = None if stepped is None else replace(stepped, watched_ns=watched_ns)
            now_ns = self.clock.next_tick_ns(0 if epoch else now_ns)
        self._field.stop()
        now_ns = self.clock.next_tick_ns(watched_ns)
        self.clock.wait_until(now_ns, threading.Event())
        yield self.storage.close_tick(now_ns, self._epoch("stop", watched_ns))

    def _epoch(self, reason: str, watched_ns: int) -> Epoch:
        return Epoch(reason, self.clock.good, self.files.hash, watched_ns)


class Record:
    """What live does with a tick: one transaction of boundary, alert changes and, at times, memories.

    Changes of a deadline that fell due while the process was held up are committed with the tick behind it.
    """

    def __init__(self, gateway: Gateway, watch: "Watch") -> None:
        self._gateway = gateway
        self._storage = gateway.storage
        self._vitals = gateway.vitals
        self._source = gateway.source
        self._every_ns = int(gateway.settings.site.snapshot_every_s * SECOND_NS)
        self._watch = watch
        self._saved_ns = 0
        self._events: list[Mapping[str, Any]] = []

    def __call__(self, tick: Tick, changes: Sequence["AlertChange"]) -> None:
        results = self._watch.lifecycle.command_results()
        self._events += [change.cloud_event(self._source) for change in changes]
        self._events += [result.cloud_event(self._source, tick.now_ns) for result in results]
        self._events += self._glass(tick, {result.command for result in results if result.applied})
        if self._gateway.proof is not None and tick.now_ns == self._storage.closing_ns:
            self._events += self._gateway.proof.due(tick.now_ns)
        for change in changes:
            if change.notify:
                log.warning("%s %s at %s: %s", change.grade, change.kind, change.place, change.because)
        if changes:
            self._vitals.hold(alarm.grade for alarm in self._watch.lifecycle.open_alarms())
        if tick.now_ns != self._storage.closing_ns:
            return
        events, self._events = self._events, []
        self._saved_ns = self._saved_ns or tick.now_ns
        last = tick.epoch is not None and tick.epoch.reason == "stop"
        due = last or abs(tick.now_ns - self._saved_ns) >= self._every_ns
        self._storage.commit_tick(tick, events, self._watch.state() if due else None)
        if due:
            self._saved_ns = tick.now_ns

    def _glass(self, tick: Tick, applied: Collection[str]) -> list[Mapping[str, Any]]:
        """What the centre may see by break-glass, sealed; nobody asks for it but in an emergency."""
        asked = [one for one in tick.commands if one.kind == "vitals" and one.id in applied]
        if not asked:
            return []
        from gateway.glass import answer

        data, channels = self._gateway.settings.site.data, self._gateway.files.channels
        return [answer(data, channels, one, self._source, tick.now_ns) for one in asked]
