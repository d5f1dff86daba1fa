"""InfluxDB: the real engine takes our points, and whatever it refuses costs exactly what was bad."""

import contextlib
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import InputError
from ingest import courier
from ingest.courier import Courier
from ingest.influx import OTHERS, OWN_BUCKET, Influx, buckets
from ingest.influx_answers import retry_after_s
from ingest.journal import Listed
from ingest.lines import Lines
from ingest.readings import BAD, UNCERTAIN, ReadingBatch
from ingest.recorded import read_ticks, write_readings
from tests.ingest.stub import stub
from tests.ingest.world import NOON_NS, Life, balanced, living, same_ticks, site
from tests.parts import Influx as Server
from tests.parts import influxdb

BAND = 4  # the wristband's number in `site()`


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxdb(tmp_path_factory.mktemp("influx")) as running:
        yield running


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> str:
    name = f"db_{abs(hash(request.node.name))}"
    server.create(name)
    return name


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(courier, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setattr(courier, "REFUSED_WAIT_S", 0.05)


@contextlib.contextmanager
def carrying(life: Life, influx: Influx) -> Iterator[Courier]:
    carrier = Courier(life.storage, influx)
    carrier.start()
    try:
        yield carrier
    finally:
        carrier.stop()


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def count(server: Server, database: str, measurement: str = "gas") -> int:
    rows = server.query(f'SELECT count(quality) FROM "{measurement}"', database)
    return int(rows[0]["count"]) if rows else 0


def test_a_reading_becomes_a_point_with_its_tags(tmp_path: Path, server: Server, database: str) -> None:
    with living(tmp_path, site()) as life, carrying(life, Influx(server.url, database)):
        life.hear([0, 1, 2], [1.5, np.nan, 3.0], quality=[0, 0, UNCERTAIN])
        life.tick()
        until(lambda: count(server, database) == 3)
        rows = server.query("SELECT * FROM gas", database)

    rows.sort(key=lambda row: row["channel"])
    assert rows[0] == {
        "time": NOON_NS,
        "channel": "gas.p00.pressure",
        "place": "gas.p00",
        "quantity": "pressure",
        "zone": "north",
        "value": 1.5,
        "quality": "good",
    }
    assert [row["value"] for row in rows] == [1.5, None, 3.0]
    assert [row["quality"] for row in rows] == ["good", "bad", "uncertain"]
    ledger = balanced(tmp_path)
    assert ledger.couriers["influxdb"].stored == 3


texts = st.text(min_size=1, max_size=8).filter(lambda text: text.strip() == text and text.isprintable())


@given(st.lists(st.tuples(texts, texts, st.floats()), min_size=1, max_size=6))
def test_a_line_holds_its_tags_whatever_is_in_them(columns: list[tuple[str, str, float]]) -> None:
    ids, zones, values = zip(*columns)
    size = len(columns)
    known = Listed(ids, ("gas",) * size, ("p",) * size, ("pressure",) * size, zones, np.ones(size))

    lines = Lines(known).encode(ReadingBatch.of(np.arange(size), NOON_NS, values)).to_pylist()

    for id, value, line in zip(ids, values, lines):
        assert line.count("\n") == 0
        assert line.endswith(f'quality="good" {NOON_NS}')
        if not id.endswith("\\"):
            assert id.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ") in line
        if np.isfinite(value):
            assert float(line.split(" value=")[1].split(",")[0]) == value
        else:
            assert " value=" not in line


def test_odd_tags_and_extreme_numbers_arrive_as_they_are(
    tmp_path: Path, server: Server, database: str
) -> None:
    plain = site(resolution=0.0)
    odd = type(plain)(
        [
            type(plain[0])('a b,c="d"\\', "gas", "Platz 7, 五楼", "pressure", "kPa", 1.0, zone="x=y"),
            *plain.channels,
        ]
    )
    values = [1e300, -5e-324, 0.1, 123456789.123456]
    with living(tmp_path, odd) as life, carrying(life, Influx(server.url, database)):
        life.hear(np.zeros(4), values, ago_s=[3.0, 2.0, 1.0, 0.0])
        life.tick()
        until(lambda: count(server, database) == 4)
        rows = server.query("SELECT value FROM gas", database)
        (place,) = server.query('SHOW TAG VALUES FROM gas WITH KEY = "place"', database)

    assert [row["value"] for row in rows] == values
    assert place["value"] == "Platz 7, 五楼"


def test_the_second_of_two_values_stays_out_and_is_laid_aside(
    tmp_path: Path, server: Server, database: str
) -> None:
    with living(tmp_path, site()) as life, carrying(life, Influx(server.url, database)):
        life.hear(0, 1.0)
        life.hear(0, 2.0)
        life.hear(0, 1.0)
        life.tick()
        until(lambda: count(server, database) == 1)
        assert server.query("SELECT value FROM gas", database)[0]["value"] == 1.0

    told = balanced(tmp_path).couriers["influxdb"]
    assert (told.durable, told.stored, told.dead_lettered) == (2, 1, {"conflict": 1})


def test_wristbands_go_only_to_the_bucket_that_is_named_for_them(
    tmp_path: Path, server: Server, database: str
) -> None:
    with living(tmp_path / "without", site()) as life, carrying(life, Influx(server.url, database)):
        life.hear([0, BAND], [1.0, 70.0])
        life.tick()
        until(lambda: count(server, database) == 1)
    told = balanced(tmp_path / "without").couriers["influxdb"]
    assert told.withheld == {"no bucket named for wristbands": 1}
    assert count(server, database, "wristband") == 0

    with stub() as bands, living(tmp_path / "with", site()) as life:
        plain, wristbands = buckets(bands.url, "all", "t-all", "", "bands", "t-bands")
        with carrying(life, plain), carrying(life, wristbands):
            life.hear([0, BAND], [1.0, 70.0])
            life.tick()
            until(lambda: len(bands.lines) == 2)
    both = balanced(tmp_path / "with").couriers
    assert sorted(bands.tokens) == ["Token t-all", "Token t-bands"]
    assert (both["influxdb"].stored, both["influxdb wristbands"].stored) == (1, 1)


def test_one_point_of_another_type_costs_one_point(tmp_path: Path, server: Server, database: str) -> None:
    server.query(f'CREATE RETENTION POLICY "week" ON "{database}" DURATION 7d REPLICATION 1 DEFAULT')
    fresh_ns = time.time_ns()
    with living(tmp_path, site()) as life, carrying(life, Influx(server.url, f"{database}/week", batch=500)):
        size = 400
        ago_s = np.zeros(size)
        ago_s[123] = 3600 * 24 * 30  # older than the bucket keeps
        times = fresh_ns - (ago_s * 10**9).astype(np.int64) + np.arange(size)
        life.storage.deliver(ReadingBatch.of(np.arange(size) % 4, times, np.ones(size)))
        life.tick()
        until(lambda: count(server, database) == size - 1)

    told = balanced(tmp_path).couriers["influxdb"]
    assert (told.stored, told.dead_lettered) == (size - 1, {"older than the bucket keeps": 1})
    letters = life_letters(tmp_path)
    assert letters == [("influxdb", "gas.p03.pressure", "older than the bucket keeps")]


def test_one_point_in_ten_thousand_costs_one_point(tmp_path: Path) -> None:
    bad = "value=666,"
    with stub() as server, living(tmp_path, site()) as life:
        server.refuse = lambda lines: any(bad in line for line in lines) and "unable to parse"
        values = np.arange(10_000) / 10
        values[4321] = 666.0
        values[6660] = 0.5
        life.storage.deliver(ReadingBatch.of(np.arange(10_000) % 4, NOON_NS - np.arange(10_000), values))
        life.tick()
        with carrying(life, Influx(server.url, "sensors")):
            until(lambda: len(set(server.lines)) == 9_999)
        assert server.posts < 60

    told = balanced(tmp_path).couriers["influxdb"]
    assert (told.stored, told.dead_lettered) == (9_999, {"cannot be parsed by the server": 1})


def test_a_channel_that_is_always_refused_does_not_slow_the_others(tmp_path: Path) -> None:
    def refuse(lines: list[str]) -> str:
        conflicts = sum("channel=gas.p01" in line for line in lines)
        return conflicts and f"partial write: field type conflict: dropped={conflicts}"  # type: ignore[return-value]

    with stub() as server, living(tmp_path, site()) as life, carrying(life, Influx(server.url, "s")):
        server.refuse = refuse
        for _ in range(2):
            life.hear(np.repeat(np.arange(4), 25), np.ones(100), ago_s=np.arange(100) / 1000)
            life.tick()
            until(lambda: not balanced_now(tmp_path)["influxdb"])
        first_posts = server.posts
        life.hear(np.repeat(np.arange(4), 25), np.ones(100), ago_s=np.arange(100) / 1000)
        life.tick()
        until(lambda: not balanced_now(tmp_path)["influxdb"])
        assert server.posts == first_posts + 2  # the good ones, and the suspects
        server.refuse = None
        for _ in range(2):
            life.hear([0, 1], [1.0, 2.0])
            life.tick()
            until(lambda: not balanced_now(tmp_path)["influxdb"])
        assert server.posts == first_posts + 5  # trusted again

    told = balanced(tmp_path).couriers["influxdb"]
    assert told.dead_lettered == {"field type conflict": 3 * 25}


def test_a_complaint_about_the_whole_lays_nothing_aside(tmp_path: Path) -> None:
    with stub() as server, living(tmp_path, site()) as life, carrying(life, Influx(server.url, "s")) as one:
        server.refuse = lambda lines: '{"code":"invalid","message":"organization name is missing"}'
        life.hear([0, 1, 2, 3], [1.0, 2.0, 3.0, 4.0])
        life.tick()
        until(lambda: "check org and bucket" in one.trouble)
        assert balanced_now(tmp_path) == {"influxdb": 4}
        server.refuse = None
        until(lambda: not balanced_now(tmp_path)["influxdb"])

    assert balanced(tmp_path).couriers["influxdb"].stored == 4


def test_a_wristband_bucket_in_trouble_leaves_the_other_alone(
    tmp_path: Path, server: Server, database: str
) -> None:
    plain, wristbands = buckets(server.url, database, wristband_bucket=f"{database}_bands")
    with (
        living(tmp_path, site()) as life,
        carrying(life, plain) as one,
        carrying(life, wristbands) as other,
    ):
        for value in range(3):
            life.hear([0, BAND], [1.0 + value, 70.0])
            life.tick()
        until(lambda: count(server, database) == 3)
        assert not one.trouble
        until(lambda: "404" in other.trouble)
        assert balanced_now(tmp_path)["influxdb wristbands"] == 6
        server.create(f"{database}_bands")
        until(lambda: not balanced_now(tmp_path)["influxdb wristbands"])
        assert count(server, f"{database}_bands", "wristband") == 3
        assert count(server, database, "wristband") == 0

    told = balanced(tmp_path).couriers
    assert (told["influxdb"].stored, told["influxdb"].withheld) == (3, {OWN_BUCKET: 3})
    assert (told["influxdb wristbands"].stored, told["influxdb wristbands"].withheld) == (3, {OTHERS: 3})


def test_after_a_failure_a_small_write_is_tried_before_large_ones(tmp_path: Path) -> None:
    with stub((503, {}, b""), (503, {}, b"")) as server, living(tmp_path, site()) as life:
        for _ in range(40):
            life.hear(np.arange(100) % 4, np.ones(100), ago_s=np.arange(100) / 1000)
            life.tick()
        with carrying(life, Influx(server.url, "sensors")):
            until(lambda: len(server.lines) == 4_000)

    assert server.sizes[:4] == [4_000, 500, 500, 1_000]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("nan", None), ("soon", None), (None, None)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_a_wish_to_come_later_is_understood(header: str | None, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": header} if header else {}) == seconds


def test_a_wish_may_be_a_date() -> None:
    later = formatdate(time.time() + 30, usegmt=True)

    wish = retry_after_s({"Retry-After": later})

    assert wish is not None
    assert 25 < wish <= 30


def life_letters(folder: Path) -> list[tuple[str, str, str]]:
    from ingest.journal import open_reader

    with contextlib.closing(open_reader(folder)) as connection:
        return connection.execute("SELECT lane, topic, reason FROM dead_letters").fetchall()


def test_a_measurement_that_holds_another_type_refuses_all_and_says_so_at_once(
    tmp_path: Path, server: Server, database: str
) -> None:
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.client.write_api import SYNCHRONOUS

    with InfluxDBClient(server.url, "none") as client:
        writer = client.write_api(write_options=SYNCHRONOUS)
        writer.write(database, "", f"gas,channel=gas.p00.pressure value=1i {NOON_NS - 10}")
    with living(tmp_path, site()) as life, carrying(life, Influx(server.url, database)):
        life.hear(np.zeros(300), np.ones(300), ago_s=np.arange(300) / 1000)
        life.tick()
        until(lambda: "influxdb" in balanced_now(tmp_path) and not balanced_now(tmp_path)["influxdb"])

    assert balanced(tmp_path).couriers["influxdb"].dead_lettered == {"field type conflict": 300}


def balanced_now(folder: Path) -> dict[str, int]:
    """Pending readings by courier."""
    return {name: told.pending for name, told in balanced(folder).couriers.items()}


def test_a_bucket_that_does_not_exist_is_waited_for(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    database = "created_later"
    with living(tmp_path, site()) as life, carrying(life, Influx(server.url, database)) as carrier:
        life.hear([0, 1], [1.0, 2.0])
        life.tick()
        until(lambda: "404" in carrier.trouble)
        assert balanced_now(tmp_path) == {"influxdb": 2}
        server.create(database)
        until(lambda: count(server, database) == 2)
        until(lambda: not carrier.trouble)

    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "create the bucket" in caplog.records[0].message


def test_a_server_that_was_killed_gets_everything_once_it_is_back(
    tmp_path: Path, server: Server, database: str
) -> None:
    with living(tmp_path, site()) as life, carrying(life, Influx(server.url, database)) as carrier:
        life.hear(0, 0.0)
        life.tick()
        until(lambda: count(server, database) == 1)
        server.engine.kill()
        for value in range(1, 6):
            life.hear(0, float(value))
            life.tick()
        until(lambda: carrier.trouble)
        server.engine.start()
        until(lambda: count(server, database) == 6)
        assert [row["value"] for row in server.query("SELECT value FROM gas", database)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"engine: disk full"),
        (503, {"Retry-After": "0.05"}, b"{}"),
        (429, {"Retry-After": "0.05"}, b'{"code":"too many requests"}'),
        (401, {}, b'{"code":"unauthorized"}'),
        (403, {}, b"forbidden"),
        (200, {"Content-Type": "text/html"}, b"<html>Please log in"),
        (502, {"Content-Type": "text/html; charset=gbk"}, "网关错误".encode("gbk")),
        None,
    ],
    ids=["500", "503", "429", "401", "403", "a login page", "a page in GBK", "half an answer"],
)
def test_what_may_pass_is_waited_out(
    tmp_path: Path, answer: tuple[int, dict[str, str], bytes] | None
) -> None:
    with stub(answer, answer) as server, living(tmp_path, site()) as life:
        with carrying(life, Influx(server.url, "sensors", "secret-token", timeout_s=2.0)) as carrier:
            life.hear([0, 1, 2], [1.0, 2.0, 3.0])
            life.tick()
            until(lambda: len(server.lines) == 3)
            assert "secret-token" not in carrier.trouble
        assert len(set(server.lines)) == 3

    assert balanced(tmp_path).couriers["influxdb"].stored == 3


def test_a_server_that_says_nothing_is_given_up_after_the_time_out(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent, living(tmp_path, site()) as life:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with carrying(life, Influx(url, "sensors", timeout_s=0.2)) as carrier:
            life.hear(0, 1.0)
            life.tick()
            until(lambda: "imed out" in carrier.trouble or "imeout" in carrier.trouble)

    assert balanced(tmp_path).couriers["influxdb"].pending == 1


def test_a_batch_that_is_too_large_is_halved_until_it_fits(tmp_path: Path) -> None:
    too_large: tuple[int, dict[str, str], bytes] = (413, {}, b"dropped=4")
    with (
        stub(too_large, too_large) as server,
        living(tmp_path, site()) as life,
        carrying(life, Influx(server.url, "sensors")),
    ):
        life.hear([0, 1, 2, 3], [1.0, 2.0, 3.0, 4.0])
        life.tick()
        until(lambda: len(server.lines) == 4)

    assert balanced(tmp_path).couriers["influxdb"].stored == 4


def test_a_courier_resumes_where_it_was_after_a_restart(tmp_path: Path) -> None:
    with stub() as server:
        with living(tmp_path, site()) as life:
            with carrying(life, Influx(server.url, "sensors")):
                life.hear(0, 1.0)
                life.tick()
                until(lambda: len(server.lines) == 1)
            life.hear(0, 2.0)
            life.tick()
            hands = life.hands
        with living(tmp_path, site(), hands) as life, carrying(life, Influx(server.url, "sensors")):
            until(lambda: len(server.lines) == 2)
    assert [line.split("value=")[1][:1] for line in server.lines] == ["1", "2"]


def test_a_bad_reading_keeps_its_quality() -> None:
    known = Listed(("c",), ("gas",), ("p",), ("pressure",), ("",), np.ones(1))

    (line,) = Lines(known).encode(ReadingBatch.of([0], 5, [7.25], BAD)).to_pylist()

    assert line == 'gas,channel=c,place=p,quantity=pressure value=7.25,quality="bad" 5'


def test_a_replay_from_the_database_is_a_replay_of_the_file(
    tmp_path: Path, server: Server, database: str
) -> None:
    channels = site()
    size, begin_ns = 1_000, NOON_NS - 100 * 10**9  # across the hour, and nothing late or early
    rng = np.random.default_rng(0)
    measured = ReadingBatch.of(
        np.arange(size) % 4, begin_ns + np.arange(size) // 4 * 10**9, np.round(rng.normal(50, 1, size), 2)
    )
    write_readings(tmp_path / "a.parquet", [measured], channels)
    with living(tmp_path / "data", channels) as life, carrying(life, Influx(server.url, database)):
        life.storage.deliver(measured)
        life.tick()
        until(lambda: count(server, database) == size)
    address = f"influx+{server.url}/{database}"

    assert same_ticks(list(read_ticks(address, channels)), list(read_ticks(tmp_path / "a.parquet", channels)))
    start_ns, end_ns = NOON_NS + 5 * 10**9, NOON_NS + 9 * 10**9
    part = read_ticks(Path(address), channels, start_ns=start_ns, end_ns=end_ns)
    assert [tick.now_ns for tick in part] == list(range(start_ns, end_ns, 10**9))


@pytest.mark.parametrize(
    ("address", "said"),
    [("/nowhere", "database not found"), ("", "name server and database"), ("/empty", "holds no readings")],
)
def test_a_database_that_cannot_be_replayed_says_why(server: Server, address: str, said: str) -> None:
    server.create("empty")

    with pytest.raises(InputError, match=said):
        list(read_ticks(f"influx+{server.url}{address}", site()))
