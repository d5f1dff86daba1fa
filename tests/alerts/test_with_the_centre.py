"""With the centre: an alarm goes up over real HTTP, an acknowledgement comes down and is confirmed."""

import secrets
from pathlib import Path

from alerts.alert import AlertChange
from alerts.delivery import Delivery
from alerts.notifiers.base import Home
from alerts.notifiers.centre import Centre
from config.secrets import Secret
from ingest.ticks import Tick
from tests.alerts.centre.world import centre
from tests.alerts.receiver import until
from tests.alerts.test_outbox import life
from tests.alerts.world import START_NS, Site
from tests.ingest.world import Life


def step(one: Life, site: Site) -> Tick:
    """What the daemon does each second: close, judge, commit, with the confirmations of commands."""
    one.hands.wind(1.0)
    tick = one.storage.close_tick(one.clock.now_ns() // 10**9 * 10**9)
    changes: list[AlertChange] = site.tick(commands=tick.commands)
    events = [change.cloud_event("urn:watchline:gw-1") for change in changes]
    results = site.lifecycle.command_results()
    events += [result.cloud_event("urn:watchline:gw-1", tick.now_ns) for result in results]
    one.storage.commit_tick(tick, events)
    return tick


def test_an_alarm_is_seen_and_acknowledged_at_the_centre_and_the_gateway_knows(tmp_path: Path) -> None:
    (tmp_path / "centre").mkdir()
    with centre(tmp_path / "centre", users={"li.wei": "staff"}) as there, life(tmp_path / "gateway") as one:
        site = Site()
        site.now_ns = START_NS
        notifier = Centre(there.url, Secret(there.secrets["gw-1"]), heartbeat_s=0.2)
        delivery = Delivery(one.storage, notifier, "centre", Home("gw-1", dict, one.storage.command))
        delivery.register()
        delivery.start()
        site.set("jump", "w.a.pressure", direction=-1)
        site.set("gas.ch4.high_high", "g.b.ch4")
        site.set("fall", "band-7.fall")
        step(one, site)
        step(one, site)
        until(lambda: delivery.delivered == 3)

        person = there.person("li.wei")
        page = person.see()
        assert "w.a" in page
        assert "person-7" in page
        incident = next(change.incident for change in site.changes if change.place == "w.a")
        assert person.act(f"gw-1/{incident}", "acknowledged").status == 303
        until(lambda: step(one, site).commands)
        until(lambda: delivery.delivered == 5)

        assert {alarm.place: str(alarm.state) for alarm in site.lifecycle.open_alarms()} == {
            "w.a": "ACTIVE_ACK",
            "g.b": "ACTIVE_UNACK",
            "person-7": "ACTIVE_UNACK",
        }
        assert site.changes[-1].actor == "li.wei"
        assert delivery.trouble == ""
        delivery.stop()


def test_a_centre_that_knows_another_secret_is_waited_for_and_nothing_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "centre").mkdir()
    with centre(tmp_path / "centre") as there, life(tmp_path / "gateway") as one:
        site = Site()
        wrong = Secret("whsec_" + secrets.token_hex(32))
        home = Home("gw-1", dict, one.storage.command)
        delivery = Delivery(one.storage, Centre(there.url, wrong), "centre", home)
        delivery.register()
        delivery.start()
        site.set("jump", "w.a.pressure", direction=-1)
        step(one, site)
        until(lambda: delivery.trouble)

        assert "401" in delivery.trouble
        assert "secret" in delivery.trouble
        assert delivery.refused == 0
        delivery.stop()
