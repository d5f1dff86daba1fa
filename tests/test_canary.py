"""Canary: no name, number or vital sign of a wearer is found anywhere but in the gateway's own readings."""

import contextlib
import csv
import json
import math
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alerts.centre.accounts import add_token
from config.channels import Channel, ChannelTable
from gateway.glass import looks
from simulators.district import write_channels
from tests.alerts.centre.world import Answer, Centre, centre
from tests.alerts.notifiers import contacts
from tests.living import Gateway, Publisher, StubReceiver, gateway, replayed, stub_receiver, until
from tests.parts import free_port, mosquitto

SITE, WEARER = "east", "person-7"
NAME, PHONE = "王秀英", "13800138000"
VITALS = {"heart_rate": 187.625, "spo2": 71.375, "skin_temperature": 40.875}  # found nowhere by chance
CANARIES = (NAME, NAME.encode("unicode_escape").decode(), PHONE, "187.6", "71.37", "40.87", "40.88")
UNITS = {
    "heart_rate": "/min",
    "spo2": "%",
    "skin_temperature": "Cel",
    "on_wrist": "1",
    "sos": "1",
    "fall": "1",
}
READINGS = ("journal.sqlite", ".parquet")  # raw vital signs stay here, at the edge
MINUTES = 24 * 60


def channels(period_s: float) -> ChannelTable:
    bands = [
        Channel(f"band-7.{name}", "wristband", WEARER, name, unit, period_s) for name, unit in UNITS.items()
    ]
    return ChannelTable(bands)


def found_in(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


def files_of(folder: Path) -> Iterator[tuple[str, str]]:
    for file in folder.rglob("*"):
        if file.is_file() and not any(part in file.name for part in READINGS):
            yield str(file), file.read_bytes().decode("utf-8", "replace")


class Onlooker:
    """Whoever subscribes to what the gateway tells a broker."""

    def __init__(self, port: int) -> None:
        self.heard: list[str] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="onlooker")
        self._client.on_message = lambda client, data, message: self.heard.append(message.payload.decode())
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(f"watchline/v1/{SITE}/{what}", 1) for what in ("alerts/#", "status")])
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def settings(folder: Path, port: int, there: Centre, stub: StubReceiver, metrics: int) -> str:
    people = contacts(folder, li=f"json://127.0.0.1:{free_port()}/")
    return (
        f'[site]\nid = "{SITE}"\nchannels = "channels.csv"\n'
        f'[archive]\nfolder = "archive"\n[metrics]\nport = {metrics}\n'
        f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {port}\n'
        f'{stub.notifier}[[notifier]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {port}\n'
        f'[[notifier]]\nkind = "apprise"\ncontacts = "{people}"\n'
        f'[centre]\nurl = "{there.url}"\nsecret = {{ file = "{there.folder / SITE}.key" }}\n'
        "heartbeat_s = 0.5\n"
    )


def live_a_bad_hour(publisher: Publisher) -> None:
    """Readings far out of order, and two devices that say what they should not."""
    for second in range(20):
        moment_ns = time.time_ns() - (20 - second) * 10**9
        publisher.send("band-7", {**VITALS, "on_wrist": 1.0, "sos": float(second > 15)}, moment_ns)
    named = {"t": datetime.now(UTC).isoformat(), "name": NAME, "phone": PHONE, "v": VITALS}
    publisher.send_raw("band-7", json.dumps(named, ensure_ascii=False))
    publisher.send_raw("band-7", json.dumps({"t": named["t"], "v": {"name": NAME, "heart_rate": PHONE}}))
    publisher.send_raw("band-7", f'{{"t": "{named["t"]}", "v": {{"heart_rate": 187.625, "{NAME}": {PHONE}')
    publisher.settled()


def test_of_a_wearer_nothing_leaves_the_gateway_but_kind_grade_place_and_advice(tmp_path: Path) -> None:
    (tmp_path / "centre").mkdir()
    (tmp_path / "contacts").mkdir()
    metrics = free_port()
    with (
        mosquitto(tmp_path / "broker", "max_inflight_messages 1000") as broker,
        stub_receiver(tmp_path / "stub") as stub,
        centre(tmp_path / "centre", gateways=(SITE,), users={"wang": "staff"}) as there,
        gateway(tmp_path / "gateway") as one,
        contextlib.closing(Publisher(broker.port, SITE)) as publisher,
        contextlib.closing(Onlooker(broker.port)) as onlooker,
    ):
        one.folder.mkdir()
        write_channels(one.folder / "channels.csv", channels(1.0))
        one.settings.write_text(settings(tmp_path / "contacts", broker.port, there, stub, metrics))
        one.start()
        one.ready()
        live_a_bad_hour(publisher)
        sos = until(lambda: one.raised(kind="sos"))[0]["data"]
        page = until(lambda: _page(there, f"{SITE}/{sos['incident']}"))
        until(lambda: any(event["data"]["place"] == WEARER for event in stub.got()))
        until(lambda: any(WEARER in message for message in onlooker.heard))
        _the_glass_is_broken(there)
        told = [json.dumps(event, ensure_ascii=False) for event in (*one.told(), *stub.got())]
        asked = [_asked(f"http://127.0.0.1:{metrics}/{what}") for what in ("metrics", "status", "healthz")]
        assert one.stop() == 0

        assert WEARER in page
        for text in (page, *told, *asked, *onlooker.heard):
            assert not found_in(text), (found_in(text), text[:300])
        _nothing_in_files(one, there, stub)


def _the_glass_is_broken(there: Centre) -> None:
    """One look by the centre, with reason and log: the answer has the values, and nothing else ever does."""
    token = add_token(there.folder / "state" / "casebook.db", "wang")

    def ask(person: str, reason: str) -> Answer:
        body = json.dumps({"person": person, "reason": reason, "minutes": 60}).encode()
        headers = {"authorization": f"Bearer {token}"}
        return there.request("POST", f"/api/v1/gateways/{SITE}/vitals", body, headers)

    shown = until(lambda: (answer := ask(WEARER, "SOS, does not answer")).status == 200 and answer)
    assert shown.headers["cache-control"] == "no-store"
    values = {row["quantity"]: row["value"] for row in shown.json["vitals"]}
    assert VITALS.items() <= values.items()
    assert ask(WEARER, "why?").status == 400
    stranger = ask("person-9", "SOS, does not answer")
    assert (stranger.status, stranger.json["error"]) == (409, "refused")
    assert "no wristband of 'person-9'" in stranger.json["text"]


def _nothing_in_files(one: Gateway, there: Centre, stub: StubReceiver) -> None:
    """Logs, stores, keys, reports, heartbeats: every file but those that hold the readings themselves."""
    looked = 0
    for folder in (one.folder, there.folder, stub.folder):
        for name, text in files_of(folder):
            looked += 1
            assert not found_in(text), (name, found_in(text))
    assert looked > 8
    (look, *_) = looks(one.data)
    assert (look["actor"], look["person"], look["reason"]) == ("centre: wang", WEARER, "SOS, does not answer")
    book = (there.folder / "state").iterdir()
    assert any(b"vitals.shown" in file.read_bytes() for file in book), (
        "and the centre knows who was shown what"
    )
    assert any(WEARER in event for (event,) in one.rows("SELECT event FROM outbox"))


def _page(there: Centre, key: str) -> str:
    answer = there.person("wang").request("GET", f"/incidents/{key}?lang=en")
    return answer.text if answer.status == 200 else ""


def _asked(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def test_a_day_of_a_wearer_who_is_ill_is_told_without_a_number(tmp_path: Path) -> None:
    """In a replay too: fever, a racing heart and too little oxygen from noon on, and a call for help."""
    write_channels(tmp_path / "channels.csv", channels(60.0))
    (tmp_path / "links.csv").write_text("from,to,kind\n")
    (tmp_path / "gateway.toml").write_text(
        f'[site]\nid = "{SITE}"\nchannels = "channels.csv"\nlinks = "links.csv"\nwarmup_s = 0\n'
    )
    start = datetime(2026, 1, 5, tzinfo=UTC)
    with (tmp_path / "day.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["time", "channel", "value"])
        for minute in range(MINUTES):
            ill = minute >= MINUTES // 2
            usual = {
                "heart_rate": 66 + round(3 * math.sin(minute / 40)),
                "spo2": 97,
                "skin_temperature": 33.4,
            }
            values = {
                **(VITALS if ill else usual),
                "on_wrist": 1,
                "sos": int(minute == MINUTES - 30),
                "fall": 0,
            }
            at = (start + timedelta(minutes=minute)).isoformat()
            out.writerows([at, f"band-7.{name}", value] for name, value in values.items())

    alerts = replayed(tmp_path / "day.csv", tmp_path, tmp_path / "alerts.jsonl", "--warmup", "0s")

    assert {"sos", "hypoxia"} <= {event["data"]["kind"] for event in alerts}
    assert not found_in((tmp_path / "alerts.jsonl").read_text("utf-8"))
    assert all(not {"observed", "plot", "numbers", "why"} & event["data"].keys() for event in alerts)
