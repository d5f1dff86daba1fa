"""Replaying: the command with several workers, two settings, a database; the same bytes as yesterday."""

import json
import re
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from config.load import read_channels
from gateway import cli
from gateway.unpacking import alike
from ingest.readings import ReadingBatch
from ingest.recorded import read_ticks, write_readings
from simulators.district import write_channels, write_links
from tests.gateway.city import START_NS, City, city
from tests.parts import influxdb

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
HOUSE = HERE.parents[1]


class Files:
    """A city on disk, and what replaying it says."""

    def __init__(self, folder: Path, town: City) -> None:
        self.folder = folder
        self.town = town
        self.readings = town.write(folder)
        self.out = folder / "alerts.jsonl"
        write_channels(folder / "channels.csv", town.channels)
        write_links(folder / "links.csv", town.links)

    def replay(self, *more: str, readings: str | Path | None = None) -> int:
        lists = ("--channels", str(self.folder / "channels.csv"), "--links", str(self.folder / "links.csv"))
        facts = ("--facts", str(self.folder / "facts.jsonl"), "--alerts", str(self.out))
        return cli.main(["replay", str(readings or self.readings), *lists, *facts, *more])

    def said(self, *more: str, readings: str | Path | None = None) -> bytes:
        assert self.replay(*more, readings=readings) == 0
        return self.out.read_bytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("city"), city(11, hours=7))


def test_two_jobs_write_the_same_file(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    alone = files.said()
    said = capsys.readouterr().out

    assert alone.count(b"\n") > 20
    assert files.said("--jobs", "2") == alone
    assert capsys.readouterr().out == said


def test_two_jobs_replay_a_stretch_and_some_channels_alike(files: Files) -> None:
    stretch = ("--from", "2026-01-05T02:00:00Z", "--to", "2026-01-05T07:30:00Z", "--channel", "*flow")

    assert files.said("--jobs", "2", *stretch) == files.said(*stretch)


def test_two_jobs_take_a_csv_file_too(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    write_readings(path, [files.town.readings], files.town.channels)

    assert files.said("--jobs", "2", readings=path) == files.said(readings=path)


def test_progress_comes_in_plain_lines_with_rate_and_time_left(
    files: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.showing.PLAIN_EVERY_S", 0.0)
    monkeypatch.setattr("gateway.replaying.Tally.EVERY", 100)
    files.said()
    lines = capsys.readouterr().err.splitlines()

    assert len(lines) > 5
    assert all(line.startswith("replaying: ") and "readings/s" in line for line in lines)
    assert any(" left" in line for line in lines)
    shares = [int(line.split()[1].rstrip("%,")) for line in lines]
    assert shares == sorted(shares)


# Two settings


@pytest.fixture
def other(files: Files) -> Path:
    path = files.folder / "other.toml"
    path.write_text(
        '[site]\nid = "x"\nchannels = "channels.csv"\n'
        '[[watching]]\nkind = "jump"\nchannels = "*"\nwarning = 0.9\nalarm = 0.95\n'
        '[[watching]]\nkind = "silence"\nchannels = "*"\noptions = { stale_after_s = 3000.0 }\n'
    )
    return path


def test_two_settings_are_compared(files: Files, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = files.said()
    capsys.readouterr()
    page = files.folder / "compared.html"
    assert files.replay("--compare", str(other), "--html", str(page), "--json") == 0
    found = json.loads(capsys.readouterr().out)

    assert files.out.read_bytes() == plain
    assert {"jump"} <= {one["rule"] for one in found["removed"]}
    assert "silence" in {one["second"]["rule"] for one in found["later"]}
    assert found["counts"]["removed"]["all"] == len(found["removed"])
    text = page.read_text()
    assert "<svg" in text
    assert "other.toml beside the built-in defaults" in text
    assert "http" not in text.replace("http-equiv", "")
    removed = text.partition("<h2>Removed</h2>")[2].partition("</table>")[0]
    told = re.findall(r'<td class="text">(yes|no)</td>', removed)
    assert told == sorted(told, reverse=True)
    assert len(told) == len(found["removed"])


def test_compared_in_words(files: Files, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert files.replay("--compare", str(other)) == 0
    said = capsys.readouterr().out

    assert "other.toml beside the built-in defaults:" in said
    assert "removed:" in said


def test_settings_beside_themselves_differ_in_nothing(
    files: Files, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert files.replay("--settings", str(other), "--compare", str(other), "--json") == 0
    counts = json.loads(capsys.readouterr().out)["counts"]

    assert counts.pop("same")["all"] > 5
    assert all(count["all"] == 0 for count in counts.values())


# A database


def test_a_database_says_what_its_readings_say_as_a_file(files: Files, tmp_path: Path) -> None:
    """InfluxDB keeps neither arrival nor order: what is compared has its own time for arrival."""
    town = files.town
    kept = town.readings.where(np.isfinite(town.readings.value) & (town.readings.quality == 0))
    plain = ReadingBatch.of(kept.channel, kept.time_ns, kept.value)
    plain = plain.where(np.lexsort((plain.channel, plain.time_ns)))
    write_readings(tmp_path / "readings.parquet", [plain], town.channels)
    with influxdb(tmp_path / "influx") as influx:
        lines = [
            f'{town.channels.medium[c]},channel={town.channels.ids[c]} value={v!r},quality="good" {t}'
            for c, v, t in zip(plain.channel.tolist(), plain.value.tolist(), plain.time_ns.tolist())
        ]
        for first in range(0, len(lines), 5000):
            body = "\n".join(lines[first : first + 5000]).encode()
            request = urllib.request.Request(f"{influx.url}/api/v2/write?bucket=sensors&precision=ns", body)
            urllib.request.urlopen(request, timeout=30).close()
        address = f"influx+{influx.url}/sensors"
        from_file = files.said(readings=tmp_path / "readings.parquet")

        assert from_file.count(b"\n") > 10
        assert files.said(readings=address) == from_file
        assert files.said("--jobs", "2", readings=address) == from_file


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("influx+http://127.0.0.1:9/sensors", "is it an InfluxDB, and up?"),
        ("influx+http://127.0.0.1:9", "name server and database"),
    ],
)
def test_a_database_that_is_not_there_is_named(
    files: Files, capsys: pytest.CaptureFixture[str], address: str, says: str
) -> None:
    assert files.replay(readings=address) == 2
    assert says in capsys.readouterr().err


# Yesterday and today


def golden(out: Path) -> list[dict[str, Any]]:
    """What the committed recording says today."""
    lists = ("--channels", str(GOLDEN / "channels.csv"), "--links", str(GOLDEN / "links.csv"))
    facts = ("--facts", str(GOLDEN / "facts.jsonl"), "--warmup", "2h", "--alerts", str(out))
    assert cli.main(["replay", str(GOLDEN / "readings.parquet"), *lists, *facts]) == 0
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def test_today_says_what_yesterday_said(tmp_path: Path) -> None:
    """Where that shall change: python -m tests.gateway.test_replaying, and git shows what did."""
    before = [json.loads(line) for line in (GOLDEN / "alerts.jsonl").read_text("utf-8").splitlines()]
    today = golden(tmp_path / "alerts.jsonl")

    assert len(before) > 20
    assert [event["id"] for event in today] == [event["id"] for event in before]
    assert all(alike(one, other) for one, other in zip(before, today))


# Memory


def test_a_longer_recording_takes_hardly_more_memory(tmp_path: Path) -> None:
    """What the second has more of would take 290 MB; allocators keep some room for later.

    Both are long enough for detectors that begin after some days: until then memory does grow.
    """
    short, long = (peak_mb(tmp_path, hours) for hours in (96, 156))

    assert long < short + 100, f"{short} MB, then {long} MB"


def peak_mb(folder: Path, hours: int) -> float:
    """Peak memory of the command in a process of its own; a reading a minute of 2,400 channels."""
    path = folder / f"{hours}.parquet"
    channels = ChannelTable(
        [Channel(f"w{n}.flow", "water", f"w{n}", "flow", "m3/h", 60.0, zone="north") for n in range(2400)]
    )
    write_channels(folder / "channels.csv", channels)
    write_readings(path, plain_batches(len(channels), hours), channels)
    words = [str(path), "--channels", str(folder / "channels.csv"), "--alerts", str(folder / "a.jsonl")]
    script = textwrap.dedent(
        f"""
        import resource
        from gateway import cli
        assert cli.main(["replay", *{words!r}, "--json"]) == 0
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=HOUSE, capture_output=True, text=True, timeout=280, check=True
    )
    return float(done.stdout.splitlines()[-1])


def plain_batches(channels: int, hours: int) -> Iterator[ReadingBatch]:
    chance = np.random.default_rng(3)
    for hour in range(hours):
        time_ns = START_NS + (hour * 3600 + np.arange(0, 3600, 60)) * 10**9
        numbers = np.tile(np.arange(channels), len(time_ns))
        yield ReadingBatch.of(numbers, np.repeat(time_ns, channels), chance.normal(100, 1, len(numbers)))


def renew() -> None:
    """Write the golden files anew: the recording once, what it says always."""
    if not (GOLDEN / "readings.parquet").exists():
        Files(GOLDEN, city(21, hours=9))
    golden(GOLDEN / "alerts.jsonl")
    channels, _ = read_channels(GOLDEN / "channels.csv", strict=False)
    print(sum(len(tick.readings) for tick in read_ticks(GOLDEN / "readings.parquet", channels)), "readings")


if __name__ == "__main__":
    renew()
