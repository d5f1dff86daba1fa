"""Replay: what was recorded says again what the live run said, whatever file it comes from, to the bit."""

import contextlib
import csv
import json
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from config.channels import Channel, ChannelTable
from config.lists import time_ns
from gateway import cli
from gateway.daemon import Gateway as Daemon
from ingest.journal import open_reader
from ingest.wallclock import WallClock
from simulators import record
from simulators.district import write_channels, write_links
from simulators.scenarios import SECOND_NS, rfc3339
from tests.alerts.receiver import SECRET, Receiver, as_the_centre_would, receiver
from tests.living import Publisher, Town, gateway, plain_differences, replayed, town, until
from tests.parts import mosquitto

SITE = "east"
EXTRA = [
    *(Channel(f"probe-{n}.ch4", "gas", f"probe.{n}", "ch4", "%{LEL}", 1.0) for n in range(6)),
    Channel("call-1.sos", "wristband", "person-1", "sos", "1", 60.0),
    Channel("slow-1.flow", "water", "slow.1", "flow", "m3/h", 10.0),
]


class Hands:
    """A wall clock that a test may set."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def wall_ns(self) -> int:
        return time.time_ns() + self.ahead_ns


class Life:
    """One life of a gateway in a thread of this process, so that its wall clock can be set."""

    def __init__(self, settings: Path, hands: Hands) -> None:
        self.daemon = Daemon(settings, WallClock(hands.wall_ns))
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.daemon.run(self._ready.set)
        except BaseException as error:
            self._error = error
            self._ready.set()

    def __enter__(self) -> "Life":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
        self._thread.join(60)
        if self._error is not None:
            raise self._error


class Ran:
    """A live run that is over."""

    def __init__(self, folder: Path, centre: Receiver) -> None:
        self.folder = folder
        self.centre = centre

    def rows(self, sql: str) -> list[Any]:
        with contextlib.closing(open_reader(self.folder / "data")) as connection:
            return connection.execute(sql).fetchall()

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(event) for (event,) in self.rows("SELECT event FROM outbox ORDER BY id")]

    def alerts(self) -> list[dict[str, Any]]:
        return [event for event in self.told() if event["type"].startswith("city.linkage.alert.")]

    def open(self, place: str) -> str:
        """The alert id of the newest alarm raised at a place, once there is one."""

        def ids() -> list[str]:
            raised = [e for e in self.alerts() if e["type"].endswith(".raised.v1")]
            return [e["data"]["alert_id"] for e in raised if e["data"]["place"] == place]

        return str(until(ids)[-1])


class Staff:
    """Commands as a centre hands them down: again and again until the end, each acts once."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []

    def order(self, kind: str, **body: Any) -> None:
        number = len(self.orders)
        order = {"id": f"order-{number}", "kind": kind, "actor": "li.wei", "body": body}
        self.orders.append({**order, "issued": rfc3339(time.time_ns())})


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Half a minute of all that makes a replay hard."""
    folder = tmp_path_factory.mktemp("replay")
    staff, hands = Staff(), Hands()
    with (
        town(folder / "town", site=SITE) as place,
        receiver(as_the_centre_would(staff.orders)) as there,
        contextlib.closing(Publisher(place.broker.port, SITE)) as publisher,
    ):
        key = folder / "centre.key"
        key.write_text(SECRET)
        key.chmod(0o600)
        centre = f'[centre]\nurl = "{there.url}"\nsecret = {{ file = "{key}" }}\nheartbeat_s = 0.5\n'
        one = Ran(folder / "gateway", there)
        more = f'[archive]\nfolder = "archive"\n{centre}'
        place.write_gateway(one.folder, EXTRA, more, "snapshot_every_s = 3")
        settings = one.folder / "gateway.toml"
        with Life(settings, hands):
            trouble(place, publisher)
            decisions(one, staff)
            steps_of_the_clock(hands, publisher)
        with Life(settings, hands):
            publisher.send("probe-4", {"ch4": 70.0})
            one.open("probe.4")
            late_news(publisher)
            time.sleep(2.5)
        yield one


def trouble(place: Town, publisher: Publisher) -> None:
    """The district's own, over Modbus and MQTT, and probes and people beside it."""
    place.play("third_party_damage", 1, 60, place="gas.north.well", size=85)
    place.play("voltage_sag", 2, 3, place="power.centre.market", size=0.5)
    place.play("fall", 2, 60, place="band.c31", size=4.5)
    for probe, level in enumerate((30.0, 60.0, 60.0, 30.0)):
        publisher.send(f"probe-{probe}", {"ch4": level})
    publisher.send("call-1", {"sos": 1.0})


def decisions(one: Ran, staff: Staff) -> None:
    """Every kind of command that acts on alarms, and some that are refused."""
    staff.order("ack", alert_id=one.open("probe.0"))
    staff.order("shelve", alert_id=one.open("probe.1"), seconds=4, reason="bump test")
    staff.order("shelve", alert_id=one.open("probe.2"), one_shot=True, reason="known")
    staff.order("out_of_service", place="probe.3", permit="W-17")
    staff.order("reset", alert_id=one.open("person-1"))
    staff.order("ack", alert_id="nobody-knows-it")
    staff.order("dance")
    until(lambda: len(one.rows("SELECT 1 FROM commands WHERE tick IS NOT NULL")) == 7)
    time.sleep(5.0)  # the shelf of four seconds ends by itself


def steps_of_the_clock(hands: Hands, publisher: Publisher) -> None:
    """Ten minutes ahead, and back again: what comes is late, then early."""
    for ahead_s in (600, -30, 0):
        hands.ahead_ns = ahead_s * SECOND_NS
        time.sleep(1.2)
        publisher.send("probe-5", {"ch4": 3.0 + ahead_s / 100})
        time.sleep(2.5)


def late_news(publisher: Publisher) -> None:
    """Readings of half an hour ago: of gas, of a person, and of something that nobody is called for."""
    before_ns = time.time_ns() - 1800 * SECOND_NS
    publisher.send("probe-5", {"ch4": 90.0}, before_ns)
    publisher.send("call-1", {"sos": 1.0}, before_ns)
    publisher.send("slow-1", {"flow": 3.0}, before_ns)


def test_live_said_something_of_every_kind(ran: Ran) -> None:
    types = {event["type"].split(".")[3] for event in ran.alerts()}
    results = [e["data"]["result"] for e in ran.told() if e["type"].endswith("command.confirmed.v1")]
    epochs = [json.loads(e)["reason"] for (e,) in ran.rows("SELECT epoch FROM ticks WHERE epoch NOT NULL")]

    assert {"raised", "acknowledged", "shelved", "unshelved"} <= types
    assert sorted(results) == ["applied"] * 4 + ["refused"] * 3
    assert epochs == ["start", "clock_step", "clock_step", "clock_step", "stop", "start", "stop"]


def test_replay_says_what_live_said_change_by_change(ran: Ran, tmp_path: Path) -> None:
    replay = replayed(ran.folder / "archive", ran.folder, tmp_path / "alerts.jsonl")

    assert plain_differences(ran.alerts(), replay) == []


def test_several_processes_say_what_live_said(ran: Ran, tmp_path: Path) -> None:
    """Commands, steps of the clock and a restart in it; each reads its own row groups only."""
    replay = replayed(ran.folder / "archive", ran.folder, tmp_path / "alerts.jsonl", "--jobs", "2")

    assert plain_differences(ran.alerts(), replay) == []


def test_facts_may_stand_elsewhere(ran: Ran, tmp_path: Path) -> None:
    """The same archive without its facts.jsonl, which is named instead."""
    elsewhere = tmp_path / "archive"
    shutil.copytree(ran.folder / "archive", elsewhere)
    facts = (elsewhere / "facts.jsonl").rename(tmp_path / "said.jsonl")
    replay = replayed(elsewhere, ran.folder, tmp_path / "alerts.jsonl", "--facts", str(facts))

    assert plain_differences(ran.alerts(), replay) == []


def test_a_gateway_that_was_held_up_says_what_would_have_been_said_in_time(tmp_path: Path) -> None:
    """Stopped for seconds in which a delay ends: the alarm carries the second in which it was due."""
    held = tmp_path / "gateway"
    held.mkdir()
    write_channels(held / "channels.csv", ChannelTable(EXTRA))
    write_links(held / "links.csv", ())
    with (
        mosquitto(tmp_path / "broker") as broker,
        gateway(held) as one,
        contextlib.closing(Publisher(broker.port, SITE)) as publisher,
    ):
        one.settings.write_text(
            f'[site]\nid = "{SITE}"\nchannels = "channels.csv"\n[archive]\nfolder = "archive"\n'
            f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\n'
            '[[watching]]\nkind = "limits"\nchannels = "probe-*.ch4"\non_delay_s = 3\noff_delay_s = 3\n'
        )
        one.start()
        one.ready()
        one.wait_for("is read")
        for probe, level in enumerate((30.0, 60.0)):
            publisher.send(f"probe-{probe}", {"ch4": level})
        until(lambda: one.rows("SELECT 1 FROM arrivals"))
        began = one.rows("SELECT max(second_ns) FROM arrivals")[0][0]
        one.hold_up(6.0)
        until(lambda: len(one.raised()) >= 2)
        assert one.stop() == 0

    detected = {time_ns(event["data"]["t"]["detected"]) for event in one.raised()}
    assert max(detected) <= began + 5 * SECOND_NS
    assert plain_differences(one.alerts(), replayed(held / "archive", held, tmp_path / "alerts.jsonl")) == []


# A plain recording


class Recording:
    """Files of a simulated stretch of time, and what replaying them says."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self.scratch = scratch
        self.readings = folder / "readings.parquet"
        self.out = scratch / "alerts.jsonl"

    def replay(self, readings: Path | None = None, *more: str) -> bytes:
        """The bytes of alerts.jsonl."""
        assert self.exit_code(readings, *more) == 0
        return self.out.read_bytes()

    def exit_code(self, readings: Path | None = None, *more: str) -> int:
        lists = ("--channels", str(self.folder / "channels.csv"), "--links", str(self.folder / "links.csv"))
        return cli.main(["replay", str(readings or self.readings), *lists, "--alerts", str(self.out), *more])

    def changes(self, *more: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.replay(None, *more).splitlines()]

    def table(self) -> pa.Table:
        return pq.read_table(self.readings)

    def written(self, table: pa.Table, name: str = "other.parquet") -> Path:
        pq.write_table(table, self.scratch / name)
        return self.scratch / name


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    kinds = ("burst", "third_party_damage", "fall", "sensor_fault:duplicates", "sensor_fault:out_of_order")
    scenarios = [word for kind in kinds for word in ("--scenario", kind)]
    assert (
        record.main([*scenarios, "--days", "1", "--period", "120", "--seed", "5", "--out", str(folder)]) == 0
    )
    return folder


@pytest.fixture
def recording(recorded: Path, tmp_path: Path) -> Recording:
    return Recording(recorded, tmp_path)


def test_a_recording_replayed_twice_gives_the_same_bytes(recording: Recording) -> None:
    first = recording.replay()

    assert first.count(b"\n") > 5
    assert recording.replay() == first


def test_the_order_of_rows_within_a_tick_means_nothing(recording: Recording) -> None:
    table = recording.table()
    ticks = [-(-moment // SECOND_NS) for moment in arrivals(table).tolist()]
    chance = random.Random(3)
    keyed = sorted(range(len(ticks)), key=lambda row: (ticks[row], chance.random()))

    assert recording.replay(recording.written(table.take(keyed))) == recording.replay()


def test_any_order_will_do_where_the_arrival_is_given(recording: Recording) -> None:
    table = recording.table()
    rows = list(range(len(table)))
    random.Random(4).shuffle(rows)

    assert recording.replay(recording.written(table.take(rows))) == recording.replay()


def test_a_csv_file_says_the_same(recording: Recording) -> None:
    path = recording.scratch / "readings.csv"
    columns = recording.table().to_pydict()
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["time", "channel", "value", "quality", "arrival"])
        for time_, channel, value, quality, arrival in zip(*columns.values()):
            moments = [moment.isoformat().replace("+00:00", "Z") for moment in (time_, arrival)]
            rows.writerow([moments[0], channel, repr(value), quality, moments[1]])

    assert recording.replay(path) == recording.replay()


def test_from_and_to_leave_out_what_lies_outside(recording: Recording) -> None:
    table = recording.table()
    ticks = -(-arrivals(table) // SECOND_NS) * SECOND_NS
    start, end = (int(ticks[0]) + hours * 3600 * SECOND_NS for hours in (2, 22))
    inside = (ticks >= start) & (ticks < end)
    part = recording.written(table.filter(pa.array(inside)))

    assert 0 < inside.sum() < len(inside)
    assert recording.replay(None, "--from", rfc3339(start), "--to", rfc3339(end)) == recording.replay(part)


def arrivals(table: pa.Table) -> NDArray[np.int64]:
    """UTC nanoseconds (rows,)."""
    plain: NDArray[np.int64] = table["arrival"].cast(pa.int64()).to_numpy()
    return plain


def test_only_the_channels_that_fit_a_pattern_are_replayed(recording: Recording) -> None:
    table = recording.table()
    gas = pa.array([channel.startswith("gas.") for channel in table["channel"].to_pylist()])
    changes = recording.changes("--channel", "gas.*")

    assert changes
    assert {event["data"]["medium"] for event in changes} == {"gas"}
    assert recording.replay(None, "--channel", "gas.*") == recording.replay(
        recording.written(table.filter(gas))
    )


def test_the_warm_up_only_marks_what_falls_into_it(recording: Recording) -> None:
    young, old = recording.changes("--warmup", "30d"), recording.changes("--warmup", "0s")

    assert {event["data"].pop("warmup") for event in young} == {True}
    assert {event["data"].pop("warmup") for event in old} == {False}
    assert young == old


def test_settings_override_the_defaults(recording: Recording) -> None:
    settings = recording.scratch / "gateway.toml"
    shutil.copy(recording.folder / "channels.csv", recording.scratch)
    settings.write_text(
        '[site]\nid = "west"\nchannels = "channels.csv"\nwarmup_s = "30d"\n'
        '[[watching]]\nkind = "limits"\nchannels = "gas.*.ch4"\nhigh = 20.0\nhigh_high = 95.0\n'
    )
    changes = recording.changes("--settings", str(settings))
    plain = recording.changes()

    assert {event["source"] for event in changes} == {"urn:watchline:west"}
    assert all(event["data"]["warmup"] for event in changes)
    assert "gas.ch4.high_high" in rules(plain)
    assert "gas.ch4.high_high" not in rules(changes)
    assert any("its high level of 20 %{LEL}" in event["data"]["because"] for event in changes)


def rules(changes: list[dict[str, Any]]) -> set[str]:
    return {event["data"]["rule"]["id"] for event in changes}


# Bad input


def truncated(recording: Recording) -> Path:
    path = recording.scratch / "cut.parquet"
    path.write_bytes(recording.readings.read_bytes()[:-1000])
    return path


def damaged(recording: Recording) -> Path:
    """The footer is whole, the pages are not."""
    path = recording.scratch / "damaged.parquet"
    whole = bytearray(recording.readings.read_bytes())
    whole[len(whole) // 3 : len(whole) // 2] = bytes(len(whole) // 2 - len(whole) // 3)
    path.write_bytes(bytes(whole))
    return path


def without_value(recording: Recording) -> Path:
    return recording.written(recording.table().drop_columns(["value"]), "no-value.parquet")


def naive(recording: Recording) -> Path:
    table = recording.table()
    plain = table["time"].cast(pa.timestamp("ns", tz=None))
    return recording.written(table.set_column(0, "time", plain), "naive.parquet")


def naive_csv(recording: Recording) -> Path:
    path = recording.scratch / "naive.csv"
    path.write_text("time,channel,value\n2026-01-05T00:00:00,gas.north.well.ch4,1\n")
    return path


def word_as_value(recording: Recording) -> Path:
    path = recording.scratch / "word.csv"
    path.write_text("time,channel,value\n2026-01-05T00:00:00Z,gas.north.well.ch4,many\n")
    return path


def strange_quality(recording: Recording) -> Path:
    path = recording.scratch / "quality.csv"
    path.write_text("time,channel,value,quality\n2026-01-05T00:00:00Z,gas.north.well.ch4,1,fine\n")
    return path


def noise(recording: Recording) -> Path:
    path = recording.scratch / "noise.bin"
    path.write_bytes(random.Random(1).randbytes(4000))
    return path


def nothing(recording: Recording) -> Path:
    return recording.scratch / "nothing.parquet"


def empty_folder(recording: Recording) -> Path:
    (recording.scratch / "empty").mkdir()
    return recording.scratch / "empty"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (truncated, "copy it again"),
        (damaged, "copy it again"),
        (without_value, "no column value"),
        (naive, "without a zone"),
        (naive_csv, "zone"),
        (word_as_value, "many"),
        (strange_quality, 'quality "fine" is not known'),
        (noise, "UTF-8"),
        (nothing, "no such file"),
        (empty_folder, "no .parquet file"),
    ],
)
def test_a_recording_that_cannot_be_used_is_named_and_nothing_is_left_half_written(
    recording: Recording,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Recording], Path],
    says: str,
) -> None:
    path = spoil(recording)
    recording.out.write_text("what was there before\n")
    before = sorted(recording.scratch.iterdir())

    assert recording.exit_code(path) == 2
    said = capsys.readouterr()
    assert str(path) in said.err
    assert says in said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    assert recording.out.read_text() == "what was there before\n"
    assert sorted(recording.scratch.iterdir()) == before


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--from", "yesterday"), '--from: "yesterday" is not a time'),
        (("--to", "2026-01-05T02:00:00"), "has no zone"),
        (("--warmup", "three days"), "--warmup three days"),
        (("--channel", "oil.*"), "no channel of the list fits"),
        (("--from", "2026-01-07T00:00:00Z", "--to", "2026-01-06T00:00:00Z"), "must lie after --from"),
        (("--facts", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--context", "nowhere.json"), "nowhere.json"),
        (("--settings", "nowhere.toml"), "nowhere.toml"),
        (("--links", "nowhere.csv"), "nowhere.csv"),
        (("--alerts", "no/such/folder/alerts.jsonl"), "does not exist"),
        (("--jobs", "0"), "--jobs 0: at least 1"),
        (("--engine", "spark://somewhere:1"), "write dask://host:port"),
        (("--engine", "dask://nowhere"), "write dask://host:port"),
        (("--html", "page.html"), "--compare"),
        (("--compare", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_wrong_option_is_named(
    recording: Recording, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
) -> None:
    assert recording.exit_code(None, *more) == 2
    assert says in capsys.readouterr().err
    assert list(recording.scratch.iterdir()) == []


def test_a_stretch_without_readings_is_warned_of(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recording.exit_code(None, "--from", "2031-01-01T00:00:00Z") == 0
    assert "no reading was replayed; look at --from" in capsys.readouterr().err


def test_readings_of_unknown_channels_are_left_out_with_a_warning(
    recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    table = recording.table()
    stranger = table.slice(0, 5).set_column(1, "channel", pa.array(["gas.nobody.ch4"] * 5))
    plain = table.set_column(1, "channel", table["channel"].cast(pa.string()))
    other = recording.written(pa.concat_tables([plain, stranger.cast(plain.schema)]))

    assert recording.replay(other) == recording.replay()
    assert "gas.nobody.ch4" in caplog.text
    assert "5 readings of channels that are not listed were left out" in caplog.text


def test_an_unknown_unit_is_a_warning_and_the_channel_is_watched_all_the_same(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = recording.scratch / "channels.csv"
    text = (recording.folder / "channels.csv").read_text()
    channels.write_text(text.replace("%{LEL},", "furlong,"))

    assert recording.exit_code(None, "--channels", str(channels)) == 0
    assert "furlong" in capsys.readouterr().err
