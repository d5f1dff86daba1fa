"""Desk: the one way by which facts enter the casebook, and the picture of all of them, kept live."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import msgspec

from alerts.alert import rfc3339, short_hash
from alerts.centre import casebook as book
from alerts.centre.acts import ActRefused, prepare
from alerts.centre.board import Board
from alerts.centre.cases import Alarm, Incident
from alerts.centre.clocks import Clocks
from alerts.centre.events import (
    ALERT,
    CALLED,
    CASE,
    CENTRE_SOURCE,
    HEARTBEAT,
    PROOF,
    STAFF_SOURCE,
    VITALS,
    Call,
    Change,
    Event,
    Fact,
    Sealed,
    without_vitals,
)
from config.clocks import read_clocks
from config.grades import read_grades
from config.rationale import Rationale, read_rationale
from config.workdays import work_calendar

T = TypeVar("T")
log = logging.getLogger(__name__)

PASSING = (HEARTBEAT, PROOF, VITALS)  # confirmed, and not kept as facts
SECOND_NS = 1_000_000_000
MISSED_HEARTBEATS = 3  # architecture, "Who owns what"; domain facts §13: 60 s each, silent after 180 s
TRIES = 20  # how often a decision is made again when something newer came in between


@dataclass
class Gateway:
    """What is known of one gateway's own health."""

    id: str
    heartbeat_s: float = 60.0  # time between its heartbeats
    heard_ns: int = 0  # wall clock, for people; 0 = never
    heard_s: float = 0.0  # monotonic, for the verdict
    heartbeat: Mapping[str, Any] | None = None

    @property
    def learning(self) -> bool:
        return bool(self.heartbeat and (self.heartbeat.get("learning") or self.heartbeat.get("warmup")))


class Listener:
    """One open page: the incidents that changed since it last asked."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._bell = asyncio.Event()

    def ring(self, keys: set[str]) -> None:
        self.changed |= keys
        self._bell.set()

    async def wait(self, timeout_s: float) -> set[str]:
        """The keys that changed; empty after `timeout_s` without one."""
        try:
            await asyncio.wait_for(self._bell.wait(), timeout_s)
        except TimeoutError:
            return set()
        self._bell.clear()
        keys, self.changed = self.changed, set()
        return keys


class Desk:
    """All of it but `load` runs on one event loop; the casebook's thread does the disk.

    `gateways` says of each how often it sends a heartbeat; `append` stores facts, and may do more with them.
    """

    def __init__(
        self,
        casebook: book.Casebook,
        gateways: Mapping[str, float],
        *,
        verify_s: float = 1800.0,
        clocks: Clocks | None = None,
        rationale: Rationale | None = None,
        append: Callable[[sqlite3.Connection, Sequence[Fact]], list[Fact]] = book.append,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.casebook = casebook
        self.board = Board()
        self.gateways = {id: Gateway(id, heartbeat_s) for id, heartbeat_s in gateways.items()}
        self.verify_ns = int(verify_s * SECOND_NS)
        self.rationale = rationale or read_rationale()
        self.clocks = clocks or Clocks(work_calendar("UTC", "09:00-17:00", ""), read_clocks())
        self.clock = clock
        self.append = append
        self.refused: Counter[str] = Counter()  # posts turned away since the start, by reason
        self.listeners: set[Listener] = set()
        self.on_sealed: Callable[[Sealed], None] = lambda sealed: None  # answers to a break-glass
        self.stopping = False
        self._reading: sqlite3.Connection | None = None

    def load(self) -> None:
        """Fold the whole casebook; every gateway gets three heartbeats' grace, a silent one stays silent.

        A fact that the disk has damaged costs itself, and is told of.
        """
        with self.casebook.reading() as connection:
            for fact in book.all_facts(connection):
                try:
                    self.board.fold(fact)
                except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
                    about = fact.incident or fact.source
                    log.error("fact %d, of %s, is damaged and left out: %s", fact.number, about, error)
            for id, heard_ns, heartbeat in book.gateways(connection):
                if id in self.gateways:
                    self.gateways[id].heard_ns = heard_ns
                    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):  # the next one comes
                        self.gateways[id].heartbeat = msgspec.json.decode(heartbeat) if heartbeat else None
        now_s = time.monotonic()
        for gateway in self.gateways.values():
            gateway.heard_s = now_s

    async def receive(self, gateway: str, events: Sequence[Event], *, fresh: bool = True) -> list[str]:
        """Store a gateway's events, synced; the ids that are now stored, repeats among them.

        `fresh` is False for a POST seen before to the byte: it does not prove that the gateway lives.
        """
        now_ns = self.clock()
        facts = [_fact(event, gateway, now_ns) for event in events if event.type not in PASSING]
        heartbeat = next((bytes(e.data) for e in reversed(events) if e.type == HEARTBEAT), None)

        def work(connection: sqlite3.Connection) -> list[Fact]:
            stored = self.append(connection, facts)
            if fresh:
                book.heard(connection, gateway, now_ns, heartbeat)
            return stored

        await self._store(work)
        for event in events:
            if event.type == VITALS:
                self.on_sealed(msgspec.json.decode(event.data, type=Sealed))
        if fresh:
            await self._hear(gateway, now_ns, heartbeat)
        return [event.id for event in events]

    async def act(self, key: str, kind: str, form: Mapping[str, str], *, actor: str, once: str) -> None:
        """Do what staff ask about an incident, decided on the newest facts; ActRefused says why not."""
        for _ in range(TRIES):
            incident = self.board.incidents.get(key)
            if incident is None or not incident.alarms:
                raise ActRefused("no_such_incident")
            if any(act.id == once for act in incident.acts.values()):
                return
            fact = prepare(
                incident,
                kind,
                form,
                actor=actor,
                once=once,
                now_ns=self.clock(),
                verify_ns=self.verify_ns,
                gateway_silent=self.unheard(incident),
            )
            try:
                await self._store(partial(book.append_unless_overtaken, fact=fact, known=incident.known))
                return
            except book.Overtaken:
                await asyncio.sleep(0.01)  # its fold is on its way to this loop
        raise ActRefused("grew_worse")

    async def order(self, gateway: str, kind: str, body: Mapping[str, Any], *, actor: str) -> str:
        """A command about no incident, such as a roster; its id. Repeated to the gateway until confirmed."""
        now_ns = self.clock()
        id = short_hash(gateway, kind, now_ns, repr(sorted(body.items())))
        command = {"id": id, "kind": kind, "body": body}
        data = msgspec.json.encode({"actor": actor, "commands": [command]})
        fact = Fact(0, now_ns, STAFF_SOURCE, id, f"{CASE}ordered.v1", f"{gateway}/{kind}", data)
        await self._store(lambda connection: book.append(connection, [fact]))
        return id

    async def note(self, type: str, **data: Any) -> None:
        """A line of the audit log: a login, a refusal, an account changed."""
        now_ns = self.clock()
        id = short_hash(type, now_ns, repr(sorted(data.items())))
        fact = Fact(0, now_ns, STAFF_SOURCE, id, type, "", msgspec.json.encode(data))
        await self._store(lambda connection: book.append(connection, [fact]))

    async def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Any other work on the casebook's writer, such as accounts and sessions."""
        return await asyncio.wrap_future(self.casebook.submit(work))

    async def record(self, work: Callable[[sqlite3.Connection], list[Fact]]) -> list[Fact]:
        """Commit the facts that `work` stores, then fold them."""
        return await self._store(work)

    async def read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Something from the casebook, through a read-only connection."""
        if self._reading is None:
            self._reading = self.casebook.reader()
        return look(self._reading)

    def silent(self, gateway: str) -> bool:
        return gateway in self.board.silent

    def unheard(self, incident: Incident) -> bool:
        """One of the gateways that tell of it is silent."""
        return any(self.silent(gateway) for gateway in incident.gateways)

    def listen(self) -> Listener:
        listener = Listener()
        self.listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self.listeners.discard(listener)

    def stop(self) -> None:
        """Let every listener go, so that open pages do not hold up the end."""
        self.stopping = True
        self._ring(set())

    async def watch_gateways(self) -> None:
        """Raise `gateway_silent` when one that once spoke misses three heartbeats. Runs until cancelled."""
        shortest_s = min((gateway.heartbeat_s for gateway in self.gateways.values()), default=60.0)
        pause_s = min(1.0, shortest_s / 4)
        before_s = time.monotonic()
        while True:
            await asyncio.sleep(pause_s)
            now_s = time.monotonic()
            deaf_s = now_s - before_s - pause_s
            if deaf_s > shortest_s / 2:  # it was this centre that stood still, not they
                for gateway in self.gateways.values():
                    gateway.heard_s += deaf_s
            before_s = now_s
            for gateway in self.gateways.values():
                overdue = (
                    gateway.heard_ns and now_s - gateway.heard_s > MISSED_HEARTBEATS * gateway.heartbeat_s
                )
                if overdue and not self.silent(gateway.id):
                    try:
                        await self._raise_silence(gateway)
                    except book.CasebookFailed as error:
                        log.error("cannot record that gateway %s is silent: %s", gateway.id, error)

    async def _hear(self, id: str, now_ns: int, heartbeat: bytes | None) -> None:
        gateway = self.gateways[id]
        learned = gateway.learning
        gateway.heard_ns, gateway.heard_s = now_ns, time.monotonic()
        if heartbeat is not None:
            gateway.heartbeat = _mapping(heartbeat)
        alarm = self.board.silent.get(id)
        if alarm is not None:
            await self._clear_silence(alarm, now_ns)
            log.info("gateway %s is heard again", id)
        elif heartbeat is not None and learned != gateway.learning:
            self._ring({f"gateway/{id}"})

    async def _raise_silence(self, gateway: Gateway) -> None:
        """A new incident, or the next occurrence in the one that is still open about this gateway."""
        now_ns = self.clock()
        log.warning("gateway %s is silent since %s", gateway.id, rfc3339(gateway.heard_ns))
        standing = self._open_silence(gateway.id)
        first_id = short_hash("gateway_silent", gateway.id, gateway.heard_ns)
        alarm_id = standing.id if standing else first_id
        data = {
            "alert_id": alarm_id,
            "incident": standing.now.incident if standing else short_hash(alarm_id),
            "seq": max(standing.told) + 1 if standing else 1,
            "occurrence": standing.now.occurrence + 1 if standing else 1,
            "state": "ACTIVE_UNACK",
            "notify": True,
            "because": f"Gateway {gateway.id} has not been heard since {rfc3339(gateway.heard_ns)}, "
            f"more than {MISSED_HEARTBEATS} heartbeats of {gateway.heartbeat_s:g} s.",
            "because_zh": f"网关 {gateway.id} 自 {rfc3339(gateway.heard_ns)} 起没有消息，"
            f"已超过 {MISSED_HEARTBEATS} 次心跳（每次 {gateway.heartbeat_s:g} 秒）。",
            "t": {"event": rfc3339(gateway.heard_ns), "detected": rfc3339(now_ns)},
        }
        await self._store_own("raised", gateway.id, data, now_ns)

    async def _clear_silence(self, alarm: Alarm, now_ns: int) -> None:
        data = {
            "alert_id": alarm.id,
            "incident": alarm.now.incident,
            "seq": max(alarm.told) + 1,
            "occurrence": alarm.now.occurrence,
            "state": "NORMAL",
            "notify": False,
            "because": f"Gateway {alarm.now.place} is heard again.",
            "because_zh": f"网关 {alarm.now.place} 已恢复联系。",
            "t": {"event": rfc3339(now_ns), "detected": rfc3339(now_ns)},
        }
        await self._store_own("cleared", alarm.now.place, data, now_ns)

    async def _store_own(self, type: str, gateway: str, data: dict[str, Any], now_ns: int) -> None:
        grading = read_grades().of("", "gateway_silent")
        whole = {
            **data,
            "grade": grading.grade,
            "kind": "gateway_silent",
            "place": gateway,
            "tier": grading.tier,
            "owner": grading.owner,
            "advice": grading.advice,
        }
        id = f"{data['alert_id']}-{data['seq']}"
        incident = f"centre/{data['incident']}"
        fact = Fact(0, now_ns, CENTRE_SOURCE, id, f"{ALERT}{type}.v1", incident, msgspec.json.encode(whole))
        await self._store(lambda connection: self.append(connection, [fact]))

    def _open_silence(self, gateway: str) -> Alarm | None:
        for incident in self.board.open.values():
            lead = incident.lead.now
            if incident.gateway == "centre" and (lead.kind, lead.place) == ("gateway_silent", gateway):
                return incident.lead
        return None

    async def _store(self, work: Callable[[sqlite3.Connection], list[Fact]]) -> list[Fact]:
        """Commit, then fold: also when whoever waits has gone away in between."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Fact]] = loop.create_future()

        def committed(future: Future[list[Fact]]) -> None:
            loop.call_soon_threadsafe(self._committed, future, done)

        self.casebook.submit(work).add_done_callback(committed)
        return await done

    def _committed(self, future: Future[list[Fact]], done: "asyncio.Future[list[Fact]]") -> None:
        error = future.exception()
        if error is None:
            touched: set[str] = set()
            for fact in future.result():
                touched |= self.board.fold(fact)
            if touched:
                self._ring(touched)
        if done.cancelled():
            return
        if error is None:
            done.set_result(future.result())
        else:
            done.set_exception(error)

    def _ring(self, keys: set[str]) -> None:
        for listener in self.listeners:
            listener.ring(keys)


def by_urgency(incidents: Sequence[Incident]) -> list[Incident]:
    """The gravest first, then those that nobody has taken, then the newest."""
    return sorted(incidents, key=lambda i: (i.grade, i.acknowledged, -i.since_ns))


def _fact(event: Event, gateway: str, now_ns: int) -> Fact:
    data = bytes(event.data)
    incident = ""
    if event.type.startswith(ALERT):
        incident = f"{gateway}/{msgspec.json.decode(data, type=Change).incident}"
        data = without_vitals(data)
    if event.type == CALLED:
        incident = f"{gateway}/{msgspec.json.decode(data, type=Call).incident}"
    return Fact(0, now_ns, event.source, event.id, event.type, incident, data)


def _mapping(data: bytes) -> Mapping[str, Any] | None:
    value = msgspec.json.decode(data)
    return value if isinstance(value, dict) else None
