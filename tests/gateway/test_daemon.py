"""Daemon: the gateway as a process, when others do not behave: it stays, counts, and says what to do."""

import contextlib
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.channels import Channel, ChannelTable
from simulators.district import write_channels
from tests.alerts.receiver import SECRET, Got, Receiver, Reply, as_the_centre_would, receiver
from tests.gateway.modbus_devices import device
from tests.living import HOUSE, Gateway, Publisher, gateway, until
from tests.parts import Server, binary, mosquitto

SITE = "east"
CHANNELS = [
    *(Channel(f"probe-{n}.ch4", "gas", f"probe.{n}", "ch4", "%{LEL}", 1.0) for n in range(4)),
    Channel("counter.flow", "water", "counter", "flow", "m3/h", 1.0),
]


class Site:
    """A broker, somebody who publishes, and the folder of a gateway that is not started yet."""

    def __init__(self, folder: Path, broker: Server, publisher: Publisher, one: Gateway) -> None:
        self.folder = folder
        self.broker = broker
        self.publisher = publisher
        self.gateway = one

    def write(
        self, more: str = "", *, in_site: str = "", in_mqtt: str = "", extra: tuple[Channel, ...] = ()
    ) -> None:
        write_channels(self.gateway.folder / "channels.csv", ChannelTable([*CHANNELS, *extra]))
        self.gateway.settings.write_text(
            f'[site]\nid = "{SITE}"\nchannels = "channels.csv"\n{in_site}\n'
            f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {self.broker.port}\n{in_mqtt}\n{more}'
        )

    def alarm(self, probe: int) -> None:
        """Explosive gas at a probe, and what the gateway says of it."""
        self.publisher.send(f"probe-{probe}", {"ch4": 60.0})
        until(lambda: self.gateway.raised(place=f"probe.{probe}"))

    def durable(self) -> int:
        return self.gateway.ledger().durable


@contextlib.contextmanager
def a_site(folder: Path, extra_conf: str = "") -> Iterator[Site]:
    with (
        mosquitto(folder / "broker", f"max_inflight_messages 1000\n{extra_conf}".strip()) as broker,
        gateway(folder / "gateway") as one,
    ):
        one.folder.mkdir()
        with contextlib.closing(Publisher(broker.port, SITE)) as publisher:
            site = Site(folder, broker, publisher, one)
            yield site
            if (one.data / "journal.sqlite").exists():
                ledger = one.ledger()
                assert ledger.balanced, ledger.table()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as one:
        yield one


def centre_settings(folder: Path, url: str) -> str:
    key = folder / "centre.key"
    key.write_text(SECRET)
    key.chmod(0o600)
    return f'[centre]\nurl = "{url}"\nsecret = {{ file = "{key}" }}\nheartbeat_s = 0.5\n'


# Start and stop


def test_a_stop_is_clean_and_quick_and_saves_the_memories(site: Site) -> None:
    site.write()
    site.gateway.start()
    site.gateway.ready()
    site.alarm(0)

    assert site.gateway.stop(within_s=10) == 0
    assert site.gateway.rows("SELECT count(*) FROM snapshots") == [(1,)]
    (last,) = site.gateway.rows("SELECT epoch FROM ticks ORDER BY id DESC LIMIT 1")
    assert json.loads(last[0])["reason"] == "stop"
    assert "Traceback" not in site.gateway.said()


def test_a_restart_goes_on_where_it_was(site: Site) -> None:
    """No warm-up again, no alarm raised twice, and a new one has its place in the same incident book."""
    site.write(in_site="warmup_s = 2")
    site.gateway.start()
    site.gateway.ready()
    site.alarm(0)
    site.publisher.send("probe-1", {"ch4": 1.0})
    time.sleep(2.5)
    assert site.gateway.stop() == 0
    site.gateway.start()
    site.gateway.ready()
    site.publisher.send("probe-0", {"ch4": 61.0})
    site.alarm(1)

    (old, *_), (new, *_) = (site.gateway.raised(place=f"probe.{probe}") for probe in range(2))
    assert len(site.gateway.raised(place="probe.0")) == len(site.gateway.raised(place="probe.1"))
    assert (old["data"]["warmup"], new["data"]["warmup"]) == (True, False)


def test_two_gateways_never_share_a_data_folder(site: Site) -> None:
    site.write()
    site.gateway.start()
    site.gateway.ready()
    second = run(site.gateway.settings)

    assert second.returncode == 2
    assert f"{site.gateway.data}: another gateway is using this data folder; stop it first" in second.stderr
    assert "Traceback" not in second.stderr
    site.alarm(0)


def test_a_settings_file_that_cannot_be_used_is_refused_with_every_mistake(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text(
        '[site]\nid = "a site"\nchannels = "nowhere.csv"\ntimezone = "Asia/Shangai"\n'
        '[[source]]\nkind = "modbuss"\n[[source]]\nkind = "mqtt"\nhots = "broker"\nport = 70000\n'
        '[[watching]]\nkind = "limits"\nhold_s = -1\n[centre]\nurl = "nowhere"\n'
    )
    done = run(settings)

    assert done.returncode == 2
    for word in ("id", "Asia/Shanghai", "modbus", "hots", "port", "hold_s", "url", "secret"):
        assert word in done.stderr, word
    assert len(done.stderr.splitlines()) >= 8
    assert all("gateway.toml" in line for line in done.stderr.splitlines())
    assert "Traceback" not in done.stderr


def test_an_unknown_unit_is_refused_at_the_start(site: Site) -> None:
    site.write(extra=(Channel("x.ch4", "gas", "x", "ch4", "%{LLE}", 1.0),))
    done = run(site.gateway.settings)

    assert done.returncode == 2
    assert "channels.csv" in done.stderr
    assert "%{LEL}" in done.stderr


@contextlib.contextmanager
def with_a_full_disk(site: Site) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A gateway whose files may not grow, which stands for a full disk; how many readings it was sent."""
    site.write()
    command = f'ulimit -S -f 300; exec "{sys.executable}" -m gateway.cli run "{site.gateway.settings}"'
    with site.gateway.log.open("ab") as log:
        limited = subprocess.Popen(["bash", "-c", command], cwd=HOUSE, stdout=log, stderr=log)
    sent = 0
    try:
        site.gateway.wait_for("is read")
        while not stuck(site) and sent < 60_000:
            for _ in range(500):
                site.publisher.send("counter", {"flow": sent + random.random()})
                sent += 1
            site.publisher.settled()
        yield limited, sent
    finally:
        limited.kill()
        limited.wait()


def stuck(site: Site) -> bool:
    """The journal cannot be written, and that does not pass: the main file has reached the limit too."""

    def now() -> bool:
        said = site.gateway.said()
        return said.rfind("nothing is acknowledged meanwhile") > said.rfind("the journal is written again")

    if not now():
        return False
    time.sleep(3.0)
    return now()


def test_a_full_disk_is_waited_out_and_nothing_is_lost(site: Site) -> None:
    with with_a_full_disk(site) as (limited, sent):
        assert site.durable() < sent
        resource.prlimit(limited.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        site.gateway.wait_for("the journal is written again")
        until(lambda: site.durable() == sent)
        limited.terminate()
        assert limited.wait(60) == 0


def test_a_full_disk_does_not_keep_it_from_ending_and_nothing_is_acknowledged_that_is_not_kept(
    site: Site,
) -> None:
    with with_a_full_disk(site) as (limited, sent):
        limited.terminate()
        assert limited.wait(60) == 1
        assert "nothing was acknowledged since. Mend the disk and start again" in site.gateway.said()
        assert site.durable() < sent
    site.gateway.start()
    site.gateway.ready()
    until(lambda: site.durable() == sent)


def run(settings: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", "run", str(settings)]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=60)


# Sources that do not behave


def test_a_wrong_password_is_told_and_the_broker_is_tried_again_until_it_fits(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    set_password(passwords, "ingest", "another")
    key = tmp_path / "mqtt.key"
    key.write_text("right")
    key.chmod(0o600)
    with a_site(tmp_path) as site:
        port = site.broker.port
        closed = f"allow_anonymous false\npassword_file {passwords}"
        with mosquitto(tmp_path / "closed", closed) as broker:
            site.broker = broker
            site.write(in_mqtt=f'username = "ingest"\npassword = {{ file = "{key}" }}')
            site.gateway.start()
            site.gateway.ready()
            site.gateway.wait_for("check username and password")
            assert f"MQTT broker 127.0.0.1:{broker.port}" in site.gateway.said()
            assert "right" not in site.gateway.said().replace("all right", "")
            set_password(passwords, "ingest", "right")
            assert broker.process is not None
            broker.process.send_signal(1)  # SIGHUP: it reads its passwords again
            site.gateway.wait_for(f"MQTT broker 127.0.0.1:{broker.port} is back")
            assert site.gateway.stop() == 0
        assert port != broker.port


def set_password(path: Path, user: str, password: str) -> None:
    command = [binary("mosquitto_passwd"), "-b", str(path), user, password]
    subprocess.run(command, check=True, capture_output=True)


def rubbish(chance: random.Random) -> bytes:
    """A payload of which nothing can be used."""
    return chance.choice(
        (
            lambda: chance.randbytes(chance.randint(0, 200)) + b"\xff",
            lambda: b"[" * 20_000,
            lambda: b'{"v":' * 5_000,
            lambda: b'{"t":"yesterday","v":{"flow":1}}',
            lambda: b'{"t":1e400,"v":{"flow":1}}',
            lambda: b'{"v":{"flow":"much"}}',
            lambda: b'{"v":[1,2,3]}',
            lambda: b"null",
            lambda: b'{"t":null}',
            lambda: b"x" * 300_000,
            lambda: json.dumps({"t": time.time(), "v": {"flow": {"deep": [None] * 50}}}).encode(),
        )
    )()


def test_a_storm_of_garbage_is_counted_and_hides_no_reading(site: Site) -> None:
    site.write()
    site.gateway.start()
    site.gateway.ready()
    chance = random.Random(9)
    good = 0
    for _ in range(150):
        for _ in range(8):
            site.publisher.send_raw(chance.choice(("counter", "probe-1", "nobody", "")), rubbish(chance))
        site.publisher.send("counter", {"flow": float(good)})
        good += 1
    site.publisher.send("counter", {"flow": float("nan")}, time.time_ns() + 10**9)
    site.publisher.settled()
    site.alarm(2)

    until(lambda: undecodable(site) == 150 * 8 + 1)
    assert site.gateway.alive()
    assert site.durable() >= good
    (kept,) = site.gateway.rows("SELECT count(*) FROM dead_letters")[0]
    assert kept == 150 * 8 + 1
    assert len(site.gateway.said().splitlines()) < 200
    assert "Traceback" not in site.gateway.said()


def undecodable(site: Site) -> int:
    return sum(sum(lane.undecodable.values()) for lane in site.gateway.ledger().lanes.values())


PROFILE = """
title = "A meter that lacks a register"
protocol = "modbus"
address_base = 0
max_gap = 0

[[point]]
name = "pressure"
quantity = "pressure"
unit = "kPa"
table = "holding"
address = 10
type = "uint16"

[[point]]
name = "flow"
quantity = "flow"
unit = "m3/h"
table = "holding"
address = 50
type = "uint16"
"""


def test_a_register_that_cannot_be_read_is_bad_quality_and_costs_the_others_nothing(site: Site) -> None:
    extra = (
        Channel("m.a.pressure", "water", "m.a", "pressure", "kPa", 1.0),
        Channel("m.a.flow", "water", "m.a", "flow", "m3/h", 1.0),
        Channel("m.dead.flow", "water", "m.dead", "flow", "m3/h", 1.0),
    )
    (site.gateway.folder / "odd_meter.toml").write_text(PROFILE)
    with device(site.folder, "pymodbus", "--refuse", "50") as meter:
        sources = "".join(
            f'[[source]]\nkind = "modbus"\nplace = "{place}"\nprofile = "./odd_meter.toml"\n'
            f'host = "127.0.0.1"\nport = {port}\nperiod_s = 1\n'
            for place, port in (("m.a", meter.port), ("m.dead", 1))
        )
        site.write(sources, extra=extra)
        site.gateway.start()
        site.gateway.ready()
        site.alarm(0)
        time.sleep(3.0)
        assert site.gateway.stop() == 0
    said = site.gateway.said()
    assert "m.dead" in said
    assert "m.a" in said
    readings = qualities(site.gateway)
    assert set(readings["m.a.pressure"]) == {0}
    assert set(readings["m.a.flow"]) == {2}
    assert "m.dead.flow" not in readings


def qualities(one: Gateway) -> dict[str, list[int]]:
    """The quality of each reading in the journal, by channel."""
    from ingest.journal import listed, open_reader, stored_arrivals

    found: dict[str, list[int]] = {}
    with contextlib.closing(open_reader(one.data)) as connection:
        ids = listed(connection).id
        for *_, batch in stored_arrivals(connection, 0, 1 << 60):
            assert batch is not None
            for channel, quality in zip(batch.channel.tolist(), batch.quality.tolist()):
                found.setdefault(ids[channel], []).append(quality)
    return found


# A centre that does not behave


def answers(status: int, **headers: str) -> Callable[[Got], Reply]:
    return lambda got: Reply(status, b"not now", {name.replace("_", "-"): v for name, v in headers.items()})


def forged(got: Got) -> Reply:
    """Somebody in between says yes, and hands down a command."""
    order = {"id": "evil", "kind": "out_of_service", "actor": "nobody", "issued": "2026-01-01T00:00:00Z"}
    stored = [event["id"] for event in got.events]
    body = json.dumps({"stored": stored, "commands": [{**order, "body": {"place": "probe.0"}}]}).encode()
    headers = {"webhook-id": got.headers["webhook-id"], "webhook-timestamp": str(int(time.time()))}
    return Reply(200, body, {**headers, "webhook-signature": "v1,AAAA"})


def nonsense(got: Got) -> Reply:
    from alerts.signing import sign

    body = b"<html>welcome to the hotel</html>"
    return Reply(200, body, sign(SECRET, got.headers["webhook-id"], int(time.time()), body))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answers(500), "answered 500"),
        (answers(429, retry_after="2"), "answered 429"),
        (lambda got: Reply(hang=True), "does not answer"),
        (forged, "the answer is not the centre's"),
        (nonsense, "the answer cannot be read"),
    ],
    ids=["500", "429", "nothing", "forged", "nonsense"],
)
def test_a_centre_that_does_not_behave_loses_no_alert_and_moves_nothing(
    site: Site, answer: Callable[[Got], Reply], says: str
) -> None:
    good = as_the_centre_would()
    with receiver(answer) as there:
        site.write(centre_settings(site.folder, there.url))
        site.gateway.start()
        site.gateway.ready()
        site.alarm(0)
        site.gateway.wait_for(says)
        site.alarm(1)
        assert site.gateway.rows("SELECT count(*) FROM commands") == [(0,)]
        there.events.clear()  # what it said yes to without being believed
        there.answer = good
        there.over.set()
        told = {event["id"] for event in site.gateway.alerts()}
        until(lambda: told <= set(there.ids), 90.0)
        assert site.gateway.stop() == 0


def test_a_centre_that_is_not_there_is_waited_for_while_the_gateway_says_so_once(site: Site) -> None:
    with receiver(as_the_centre_would()) as there:
        url = there.url
    site.write(centre_settings(site.folder, url))
    site.gateway.start()
    site.gateway.ready()
    site.alarm(0)
    site.gateway.wait_for("changes wait in the outbox")
    time.sleep(3.0)

    assert site.gateway.said().count("changes wait in the outbox") == 1
    assert site.gateway.stop(within_s=10) == 0
    assert site.gateway.rows("SELECT count(*) FROM outbox")[0][0] >= 1


def test_commands_of_the_centre_act_once_however_often_they_come(site: Site) -> None:
    orders: list[dict[str, Any]] = []
    with receiver(as_the_centre_would(orders)) as there:
        site.write(centre_settings(site.folder, there.url))
        site.gateway.start()
        site.gateway.ready()
        site.alarm(0)
        alert = site.gateway.raised(place="probe.0")[0]["data"]["alert_id"]
        issued = "2026-01-01T00:00:00Z"
        orders.append(
            {"id": "o1", "kind": "ack", "actor": "li", "issued": issued, "body": {"alert_id": alert}}
        )
        orders.append({"id": "o2", "kind": "ack", "actor": "li", "issued": issued, "body": {}})
        orders.append({"id": "o3", "kind": "self_destruct", "actor": "li", "issued": issued, "body": {}})
        orders.append({"id": "o4", "kind": "ack", "actor": "li", "issued": "soon", "body": {}})
        until(lambda: len(confirmed(there)) == 3)
        site.gateway.kill()
        site.gateway.start()
        site.gateway.ready()
        time.sleep(2.0)
        assert site.gateway.stop() == 0
        assert confirmed(there) == {"o1": "applied", "o2": "refused", "o3": "refused"}
    acknowledged = [e for e in site.gateway.alerts() if e["type"].endswith("acknowledged.v1")]
    assert [event["data"]["actor"] for event in acknowledged] == ["li"]


def confirmed(there: Receiver) -> dict[str, str]:
    events = [event for event in there.events if event["type"].endswith("command.confirmed.v1")]
    return {event["data"]["command"]: event["data"]["result"] for event in events}


def test_a_heartbeat_tells_what_is_wrong(site: Site) -> None:
    with receiver(as_the_centre_would()) as there:
        site.write(centre_settings(site.folder, there.url))
        site.gateway.start()
        site.gateway.ready()
        site.alarm(0)
        site.broker.kill()

        def trouble() -> dict[str, str]:
            beats = [event for event in list(there.events) if event["type"].endswith("heartbeat.v1")]
            found: dict[str, str] = beats[-1]["data"]["trouble"] if beats else {}
            return found

        until(lambda: any("MQTT broker" in name for name in trouble()))
        site.broker.start()
        until(lambda: trouble() == {})
        site.alarm(1)
        assert site.gateway.stop() == 0


def test_a_journal_that_is_no_journal_is_put_aside_named_and_stops_no_start(site: Site) -> None:
    site.write()
    site.gateway.data.mkdir()
    rubbish = b"this is not a database" * 1000
    (site.gateway.data / "journal.sqlite").write_bytes(rubbish)

    site.gateway.start()
    site.gateway.ready()
    site.alarm(0)

    assert site.gateway.stop() == 0
    (aside,) = site.gateway.data.glob("journal-damaged-*.sqlite")
    assert aside.read_bytes() == rubbish
    assert f"the damaged journal is now {aside}" in site.gateway.said()
    assert "Check the disk" in site.gateway.said()
