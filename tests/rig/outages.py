"""Outages: broker, InfluxDB and centre are stopped, fall silent and reset connections, each by its own plan.

One story is one gateway with three wires and a seeded plan for each; the outages overlap as they like.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.alerts.centre.world import Centre, centre
from tests.living import BROKER, WAIT_S, Beat, Gateway, Publisher, gateway, until
from tests.parts import Influx, influxdb, mosquitto
from tests.rig.kills import facts
from tests.rig.oracle import troubles
from tests.rig.proxy import Proxy, proxy
from tests.rig.recovery import stopped
from tests.rig.site import COUNTERS, EVERY_S, SITE, Feed, counters, probes, write_site
from tests.rig.verdict import Trial

SIDES = ("broker", "influxdb", "centre")
HURTS = ("stopped", "black hole", "reset")
AT_ONCE = 5  # of each kind, in one story
DRAIN_S = 90.0 + WAIT_S  # couriers wait up to a minute between attempts


@dataclass(frozen=True)
class Outage:
    """What happens to one far side, for how long, and how long nothing happens before."""

    hurt: str
    calm_s: float
    seconds: float
    abrupt: bool  # a black hole ends in a reset, as when a firewall has forgotten the connection


def plan(seed: int, side: str, each: int) -> list[Outage]:
    """`each` outages of each kind in a seeded order."""
    chance = random.Random(f"{seed} {side}")
    hurts = [*HURTS] * each
    chance.shuffle(hurts)
    return [
        Outage(hurt, chance.uniform(0.3, 2.0), chance.uniform(0.3, 3.0), chance.random() < 0.5)
        for hurt in hurts
    ]


@dataclass(frozen=True)
class Side:
    wire: Proxy
    stop: Callable[[], None]
    start: Callable[[], None]

    def suffer(self, outages: list[Outage]) -> None:
        for outage in outages:
            time.sleep(outage.calm_s)
            if outage.hurt == "stopped":
                self.stop()
                time.sleep(outage.seconds)
                self.start()
            elif outage.hurt == "black hole":
                self.wire.mode = "hole"
                time.sleep(outage.seconds)
                self.wire.mode = "ok"
                if outage.abrupt:
                    self.wire.reset_all()
            else:
                self.wire.mode = "refuse"
                self.wire.reset_all()
                time.sleep(outage.seconds / 3)
                self.wire.mode = "ok"


def story(folder: Path, seed: int, each: int) -> list[str]:
    """Tell it; what the oracle found."""
    (folder / "centre").mkdir(parents=True)
    with (
        mosquitto(folder / "broker", BROKER) as broker,
        influxdb(folder / "influx") as influx,
        centre(folder / "centre", gateways=(SITE,), heartbeat_s=1.0) as there,
        proxy(broker.port) as to_broker,
        proxy(int(influx.url.rpartition(":")[2])) as to_influx,
        proxy(there.port) as to_centre,
        gateway(folder / "gateway") as one,
        contextlib.closing(Publisher(broker.port, SITE)) as publisher,
    ):
        plans = {side: plan(seed, side, each) for side in SIDES}
        leaks = 3 * each
        _write(one.folder, to_broker, to_influx, to_centre, there, leaks)
        server = there.server
        assert server is not None
        sides = {
            "broker": Side(to_broker, broker.stop, broker.start),
            "influxdb": Side(to_influx, influx.engine.stop, influx.engine.start),
            "centre": Side(to_centre, server.stop, server.start),
        }
        feed = Feed(publisher, leaks)
        one.start()
        one.ready()
        with Beat(EVERY_S, feed.step):
            threads = [threading.Thread(target=sides[side].suffer, args=(plans[side],)) for side in SIDES]
            for thread in threads:
                thread.start()
            for leak in range(leaks):
                time.sleep(2.0)
                feed.leak(leak)
            for thread in threads:
                thread.join()
        publisher.settled()
        return _judged(one, feed, influx, there)


def _write(folder: Path, to_broker: Proxy, to_influx: Proxy, to_centre: Proxy, there: Centre, n: int) -> None:
    key = there.folder / f"{SITE}.key"
    more = (
        f'[influxdb]\nurl = "http://127.0.0.1:{to_influx.port}"\nbucket = "sensors"\ntimeout_s = 3\n'
        f'[centre]\nurl = "http://127.0.0.1:{to_centre.port}"\nsecret = {{ file = "{key}" }}\n'
        "heartbeat_s = 1\n"
    )
    write_site(folder, to_broker.port, [*counters(), *probes(n)], more)


def _judged(one: Gateway, feed: Feed, influx: Influx, there: Centre) -> list[str]:
    """Wait until everybody has everything, stop, and ask the oracle."""

    def drained() -> bool:
        ledger = one.ledger()
        return (
            ledger.total.durable >= publisher_sent
            and "influxdb" in ledger.couriers
            and not ledger.couriers["influxdb"].pending
            and {event["id"] for event in one.told()} <= set(facts(there))
        )

    publisher_sent = feed.publisher.sent
    found = []
    try:
        until(drained, DRAIN_S)
    except AssertionError:
        found.append(f"not everybody has everything after {DRAIN_S:g} s:\n{one.ledger().table()}")
    told = [event["id"] for event in one.told()]
    if stopped(one):
        found.append(f"the gateway did not stop tidily: {one.said()}")
    found += troubles(one.folder, range(feed.numbers), told)
    twice = [id for id, n in facts(there).items() if n > 1]
    if twice:
        found.append(f"the centre holds {len(twice)} events twice")
    return found + _in_influx(influx, feed.numbers)


def _in_influx(influx: Influx, numbers: int) -> list[str]:
    """Each number is one point."""
    found = []
    for counter in range(COUNTERS):
        rows = influx.query(f"SELECT value FROM water WHERE channel = 'counter-{counter}.flow'", "sensors")
        values = sorted(int(row["value"]) for row in rows)
        if values != list(range(counter, numbers, COUNTERS)):
            found.append(f"InfluxDB holds {len(values)} points of counter {counter}")
    return found


def trials(folder: Path, seed: int, each: int) -> Iterator[Trial]:
    """`each` outages of each of nine kinds, in stories of five; a failure is told once a story."""
    number = 0
    while each > 0:
        some, each = min(each, AT_ONCE), each - min(each, AT_ONCE)
        again = f"python -m tests.rig --only outages --seed {seed + number} --count {some}"
        try:
            found = story(folder / f"outages-{seed + number}", seed + number, some)
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        for side in SIDES:
            for hurt in HURTS * some:
                yield Trial(f"{side} {hurt}", seed + number, (), again)
        yield Trial("outages, story", seed + number, tuple(found), again)
        number += 1
