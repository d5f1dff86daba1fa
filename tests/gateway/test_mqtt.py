"""MQTT against real brokers and a strict stub: nothing is acknowledged before it is durable, or lost."""

import json
import logging
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from config.errors import SettingsError
from config.profiles import read_profile
from config.secrets import Secret
from gateway.sources.mqtt import Mqtt
from ingest.ledger import read_ledger
from ingest.readings import BAD
from ingest.storage import Storage
from ingest.ticks import SECOND_NS
from ingest.wallclock import WallClock
from tests.gateway.hosting import BANDS, hosted
from tests.gateway.recorder import Recorder, eventually
from tests.gateway.stub_broker import strict_stub_broker
from tests.parts import Server, binary, free_port, mosquitto

T0 = 1_760_000_000_000
HEART_RATE = BANDS.number["band-0.heart_rate"]
VERSIONS = pytest.mark.parametrize("version", ["3.1.1", "5"])


def message(number: int, band: int = 0) -> tuple[str, bytes]:
    """Message so-and-so: its time tells which it was."""
    payload = json.dumps({"t": T0 + number, "v": {"heart_rate": 60 + number % 100}})
    return f"watchline/v1/east/band-{band}/readings", payload.encode()


def numbers(recorder: Recorder) -> list[int]:
    """Which messages arrived, in order of arrival, repeats included."""
    return (recorder.readings.time_ns // 10**6 - T0).tolist()  # type: ignore[no-any-return]


class Publisher:
    """Publishes at QoS 1, and waits until the broker has taken each message."""

    def __init__(self, port: int, **login: str) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"publisher-{port}")
        if login:
            self.client.username_pw_set(login["user"], login["password"])
        self.client.max_inflight_messages_set(1000)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def send(self, *messages: tuple[str, bytes], retain: bool = False) -> None:
        sent = [self.client.publish(topic, payload, 1, retain) for topic, payload in messages]
        for info in sent:
            info.wait_for_publish(20)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with mosquitto(tmp_path) as server:
        yield server


@pytest.fixture
def publisher(broker: Server) -> Iterator[Publisher]:
    publisher = Publisher(broker.port)
    yield publisher
    publisher.close()


def to(port: int, **options: Any) -> Mqtt:
    return Mqtt("127.0.0.1", port, **options)


@VERSIONS
def test_readings_arrive_by_mqtt_and_are_acknowledged(
    version: Any, broker: Server, publisher: Publisher
) -> None:
    with hosted(to(broker.port, version=version)) as host:
        eventually(lambda: host.subscription.up)
        publisher.send(*[message(n) for n in range(500)])
        eventually(lambda: len(host.recorder.readings) >= 500)
        eventually(lambda: host.subscription.waiting() == 0)

    assert numbers(host.recorder) == list(range(500))
    assert set(host.recorder.lanes) == {"mqtt"}
    assert len(host.recorder.batches) < 400, "what comes together is handed over together"


@VERSIONS
def test_what_was_not_yet_durable_comes_again_after_the_gateway_died(
    version: Any, broker: Server, publisher: Publisher
) -> None:
    settings = to(broker.port, version=version)
    with hosted(settings, may_commit=lambda: False) as first:
        eventually(lambda: first.subscription.up)
        publisher.send(*[message(n) for n in range(50)])
        eventually(lambda: len(first.recorder.readings) == 50)
    publisher.send(*[message(n) for n in range(50, 80)])  # while nobody is there

    with hosted(settings) as second:
        eventually(lambda: len(second.recorder.readings) >= 80)

    assert sorted(set(numbers(second.recorder))) == list(range(80))


def test_what_was_durable_does_not_come_again(broker: Server, publisher: Publisher) -> None:
    with hosted(to(broker.port)) as first:
        eventually(lambda: first.subscription.up)
        publisher.send(*[message(n) for n in range(50)])
        eventually(lambda: first.subscription.waiting() == 0 and len(first.recorder.readings) == 50)
        time.sleep(0.2)  # until the broker has our acknowledgements

    with hosted(to(broker.port)) as second:
        eventually(lambda: second.subscription.up)
        publisher.send(message(99))
        eventually(lambda: len(second.recorder.readings))

    assert numbers(second.recorder) == [99]


@VERSIONS
def test_a_broker_that_restarts_is_found_again_and_subscribed_to_again(
    version: Any, broker: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gateway")
    with hosted(to(broker.port, version=version)) as host:
        eventually(lambda: host.subscription.up)
        broker.kill()
        eventually(lambda: not host.subscription.up)
        time.sleep(1.0)
        for state in broker.log.parent.glob("*.db"):
            state.unlink()  # the broker has forgotten the session
        broker.start()
        eventually(lambda: host.subscription.up)
        publisher = Publisher(broker.port)
        publisher.send(message(1))
        eventually(lambda: len(host.recorder.readings))
        publisher.close()

    told = [
        record.getMessage() for record in caplog.records if f"127.0.0.1:{broker.port}" in record.getMessage()
    ]
    assert len(told) <= 4, f"the log tells of changes: {told}"
    assert "is read" in told[0]
    assert "is lost" in told[1]
    assert "is back" in told[-1]
    assert host.longest_step_s < 1.0, "a dead broker holds nobody up"


def test_an_acknowledgement_of_an_older_connection_is_dropped(tmp_path: Path) -> None:
    may_commit = [False]
    with (
        strict_stub_broker(10, [message(n) for n in range(30)]) as stub,
        hosted(to(stub.port), may_commit=lambda: may_commit[0]) as host,
    ):
        eventually(lambda: len(host.recorder.readings) == 10)
        host.subscription._guarded(lambda: 1 / 0)  # any accident on the connection
        eventually(lambda: stub.connections == 2 and len(host.recorder.readings) == 20)
        assert stub.acknowledged == []
        may_commit[0] = True
        eventually(lambda: len(stub.acknowledged) == 30)

    assert stub.acknowledged == list(range(30)), (
        "each once, in order, none by the first connection's receipts"
    )


@pytest.mark.parametrize("window", [1, 20, 1000])
def test_a_strict_broker_gets_its_acknowledgements_in_order_and_sends_everything(window: int) -> None:
    count = min(3000, 50 * window)
    with (
        strict_stub_broker(window, [message(n) for n in range(count)]) as stub,
        hosted(to(stub.port)) as host,
    ):
        eventually(lambda: len(stub.acknowledged) == count)

    assert stub.acknowledged == list(range(count))
    assert stub.most_unacknowledged <= window
    assert numbers(host.recorder) == list(range(count))


def test_a_connection_cut_in_the_middle_loses_nothing() -> None:
    with strict_stub_broker(50, [message(n) for n in range(500)]) as stub, hosted(to(stub.port)) as host:
        stub.cut_after = 120
        eventually(lambda: len(stub.acknowledged) == 500)

    assert sorted(set(numbers(host.recorder))) == list(range(500))
    assert stub.connections == 2


def test_memory_is_bounded_however_much_the_broker_sends() -> None:
    may_commit = [False]
    settings_window = 100
    with (
        strict_stub_broker(6_000, [message(n) for n in range(6_000)]) as stub,
        hosted(to(stub.port, window=settings_window), may_commit=lambda: may_commit[0]) as host,
    ):
        eventually(lambda: host.most_waiting >= 1000)
        time.sleep(0.5)
        assert host.most_waiting <= 1500
        assert host.subscription.fileno() == -1, "the socket is hidden until something is durable"
        may_commit[0] = True
        eventually(lambda: len(stub.acknowledged) == 6_000, 60)


def test_a_broker_with_a_smaller_window_than_set_is_found_out(caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()

    def at_the_tick() -> bool:  # once every 0.3 s, or when half of the believed window waits
        nonlocal began
        half = host.subscription.waiting() * 2 >= host.subscription.window()
        if half or time.monotonic() - began > 0.3:
            began = time.monotonic()
            return True
        return False

    with strict_stub_broker(20, [message(n) for n in range(2000)]) as stub:
        with hosted(to(stub.port), may_commit=lambda: False) as host:
            host.may_commit = at_the_tick
            eventually(lambda: len(stub.acknowledged) == 2000)
        assert host.subscription.window() == 20

    assert len([r for r in caplog.records if "max_inflight_messages" in r.getMessage()]) == 1


def test_unusable_payloads_are_laid_aside_with_their_reason_and_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    topic = "watchline/v1/east/band-0/readings"
    sent = [
        (topic, b"\xff"),
        message(1),
        (topic, b'{"v":{"heart_rate":NaN}}'),
        ("watchline/v1/east/stranger/readings", b'{"v":{"heart_rate":1}}'),
        (topic, b'{"t":1760000000002,"v":{"heart_rate":0,"pulse":5}}'),
        (topic, b'{"t":1760000000003,"v":{"heart_rate":70,"pulse":5}}'),
        (topic, b"[" * 50_000),
        (topic, b"x" * 300_000),
    ]
    with strict_stub_broker(3, sent) as stub, hosted(to(stub.port)) as host:
        eventually(lambda: len(stub.acknowledged) == len(sent))

    assert stub.acknowledged == list(range(len(sent))), "in order, whatever became of each"
    assert [reason for _, _, reason in host.recorder.dead] == [
        "not UTF-8",
        "no usable reading: not a number",
        "unknown device",
        "nested too deeply",
        "too large",
    ]
    assert host.recorder.dead[1][:2] == sent[2]
    assert numbers(host.recorder) == [1, 2, 3]
    assert host.recorder.readings.quality.tolist() == [0, BAD, 0]
    assert host.recorder.dropped == {"unknown point": 2}
    told = [record for record in caplog.records if '"pulse"' in record.getMessage()]
    assert len(told) == 1, "the log tells of changes"


def test_nothing_is_acknowledged_while_nothing_is_durable() -> None:
    with (
        strict_stub_broker(5, [message(0), ("watchline/v1/east/x/readings", b"?")]) as stub,
        hosted(to(stub.port), may_commit=lambda: False) as host,
    ):
        eventually(lambda: host.subscription.waiting() == 2)
        time.sleep(0.2)
        assert stub.acknowledged == []


@pytest.mark.parametrize(
    "garbage", [b"\x90\x00", b"\x00" * 50, b"\xff" * 50, b"HTTP/1.1 200 OK\r\n\r\n", b"\x32\x03\xff\xff\x00"]
)
def test_a_broker_that_talks_nonsense_is_lost_and_tried_again(garbage: bytes) -> None:
    with strict_stub_broker(5, [message(0)]) as stub:
        stub.garbage = garbage
        with hosted(to(stub.port, keepalive_s=2)) as host:
            eventually(lambda: stub.connections >= 2)
            stub.garbage = b""
            eventually(lambda: len(host.recorder.readings))


def test_the_storage_thread_hosts_it_and_the_ledger_balances(
    broker: Server, publisher: Publisher, tmp_path: Path
) -> None:
    clock = WallClock()
    storage = Storage(tmp_path / "data", BANDS, clock)
    storage.open()
    storage.start()
    subscription = to(broker.port).subscription(BANDS, storage, clock.now_ns, site="east")
    storage.host(subscription)
    eventually(lambda: subscription.up)
    topic = "watchline/v1/east/band-0/readings"
    publisher.send(*[message(n) for n in range(700)], message(5), (topic, b"?"))
    publisher.send((topic, b'{"v":{"sos":1,"pulse":3}}'))
    eventually(lambda: subscription.readings == 702)
    time.sleep(1.1)  # what has arrived belongs to a second that is over
    tick = storage.close_tick(clock.now_ns() // SECOND_NS * SECOND_NS)
    storage.commit_tick(tick, [])
    eventually(lambda: subscription.waiting() == 0)
    ledger = read_ledger(tmp_path / "data")
    storage.stop()
    subscription.close()

    lane = ledger.total
    assert len(tick.readings) == 701
    assert (lane.received, lane.durable, lane.duplicate) == (703, 701, 1)
    assert lane.dropped == {"unknown point": 1}
    assert lane.undecodable == {"not JSON": 1}
    assert ledger.balanced
    assert ledger.lanes["band-0"].undecodable == {"not JSON": 1}
    assert ledger.lanes["band-0"].dropped == {"unknown point": 1}
    assert ledger.sources == {"mqtt": 702, "unusable": 1}


def secured(tmp_path: Path, user: str, password: str) -> str:
    """Lines of mosquitto.conf that let in one user."""
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(
        [binary("mosquitto_passwd"), "-b", passwords, user, password], check=True, capture_output=True
    )
    return f"allow_anonymous false\npassword_file {passwords}"


@VERSIONS
def test_a_wrong_password_is_told_with_broker_user_and_what_to_do_and_tried_again(
    version: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mosquitto(tmp_path, secured(tmp_path, "ingest", "right")) as broker:
        wrong = to(broker.port, version=version, username="ingest", password=Secret("wrong"))
        with hosted(wrong) as host:
            eventually(lambda: host.subscription._backoff.attempts >= 3)
        right = to(broker.port, version=version, username="ingest", password=Secret("right"))
        with hosted(right) as host:
            eventually(lambda: host.subscription.up)

    (told, *more) = [r.getMessage() for r in caplog.records if "is lost" in r.getMessage()]
    assert not more, "said once, however often it is tried"
    assert f"127.0.0.1:{broker.port}" in told
    assert 'user "ingest"' in told
    assert "check username and password" in told
    assert "wrong" not in caplog.text


def test_a_client_without_a_user_is_told_to_give_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mosquitto(tmp_path, secured(tmp_path, "ingest", "right")) as broker, hosted(to(broker.port)):
        eventually(lambda: "set username and password" in caplog.text)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port behind which nobody speaks; its queue of connections may be full too."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        yield server.getsockname()[1]


def test_a_mute_broker_and_a_dead_one_hold_nobody_up(
    black_hole: int, caplog: pytest.LogCaptureFixture
) -> None:
    with hosted(to(black_hole, keepalive_s=2)) as mute, hosted(to(free_port())) as dead:
        eventually(lambda: caplog.text.count("is lost") == 2)

    assert max(mute.longest_step_s, dead.longest_step_s) < 1.0
    assert "Connection refused" in caplog.text


def test_a_name_that_nobody_knows_is_told_and_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    with hosted(Mqtt("broker.invalid")) as host:
        eventually(lambda: "is lost" in caplog.text, 40)

    assert "broker.invalid" in caplog.text
    assert host.longest_step_s < 1.0


def test_a_broker_that_hangs_is_noticed_by_its_silence(broker: Server) -> None:
    with hosted(to(broker.port, keepalive_s=2)) as host:
        eventually(lambda: host.subscription.up)
        broker.pause()
        eventually(lambda: not host.subscription.up)
        broker.resume()
        eventually(lambda: host.subscription.up, 40)


def certificates(folder: Path) -> Callable[[str], Path]:
    """A little authority, a server's and a client's certificate; gives the path of a file by name."""
    folder.mkdir()

    def run(line: str) -> None:
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)

    run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority")
    (folder / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        run(f"req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}")
        signed = f"-CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 2 -extfile ext"
        run(f"x509 -req -in {name}.csr {signed}")
    return lambda name: folder / name


def test_tls_with_certificates_on_both_sides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = certificates(tmp_path / "tls")
    conf = (
        f"cafile {file('ca.crt')}\ncertfile {file('server.crt')}\nkeyfile {file('server.key')}\n"
        "require_certificate true"
    )
    with mosquitto(tmp_path, conf) as broker:
        ours = {"ca": file("ca.crt"), "cert": file("client.crt"), "key": file("client.key")}
        with hosted(to(broker.port, **ours)) as host:
            eventually(lambda: host.subscription.up)
            publisher = paho.Client(CallbackAPIVersion.VERSION2)
            publisher.tls_set(str(ours["ca"]), str(ours["cert"]), str(ours["key"]))
            publisher.connect("127.0.0.1", broker.port)
            publisher.loop_start()
            for n in range(300):
                publisher.publish(*message(n), qos=1)
            eventually(lambda: len(host.recorder.readings) == 300)
            publisher.disconnect()
            publisher.loop_stop()
        assert numbers(host.recorder) == list(range(300))

        with hosted(to(broker.port, tls=True)):
            eventually(lambda: "certificate is not trusted" in caplog.text)
        with hosted(to(broker.port, ca=file("ca.crt"))) as stranger:
            eventually(lambda: stranger.subscription.losses)
        assert not stranger.subscription.up


def test_options_that_cannot_work_are_refused_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Mqtt("h", cert=tmp_path / "a", password=Secret("x"), profile=read_profile("power_meter"))
    assert len(caught.value.mistakes) == 3
    with pytest.raises(SettingsError, match="nowhere"):
        Mqtt("h", ca=tmp_path / "nowhere.pem").check(BANDS)
    with pytest.raises(SettingsError, match="must hold one"):
        Mqtt("h", topic="a/b").check(BANDS)
