"""Breaking the glass: a wearer's vital signs are shown with reason and log, and never without."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.channels import Channel, ChannelTable
from config.errors import InputError
from gateway.glass import LOG, look, looks
from simulators.district import write_channels
from tests.ingest.world import Hands, living

CHANNELS = ChannelTable(
    [
        Channel("band-7.heart_rate", "wristband", "person-7", "heart_rate", "/min", 60.0),
        Channel("band-7.spo2", "wristband", "person-7", "spo2", "%", 60.0),
        Channel("band-8.heart_rate", "wristband", "person-8", "heart_rate", "/min", 60.0),
        Channel("main.pressure", "water", "main", "pressure", "kPa", 1.0),
    ]
)
REASON = "fall, does not answer"


@pytest.fixture
def site(tmp_path: Path) -> tuple[Path, int]:
    """A gateway's data folder, and the time at which it stopped."""
    with living(tmp_path / "data", CHANNELS, Hands()) as one:
        for value in (61.0, 147.0):
            one.hear([0, 1, 2], [value, 93.0, 70.0])
            one.tick()
        now_ns = one.clock.now_ns()
    return tmp_path / "data", now_ns


def test_the_last_values_of_one_wearer_are_shown_and_the_look_is_logged_without_them(
    site: tuple[Path, int],
) -> None:
    data, now_ns = site

    rows = look(data, CHANNELS, "person-7", "li.wei", REASON, 30, now_ns)

    assert [(row["quantity"], row["value"]) for row in rows] == [("heart_rate", 147.0), ("spo2", 93.0)]
    (line,) = looks(data)
    assert (line["actor"], line["person"], line["reason"]) == ("li.wei", "person-7", REASON)
    assert "147" not in (data / LOG).read_text()
    assert (data / LOG).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("person", "reason", "minutes"),
    [("person-9", REASON, 30), ("main", REASON, 30), ("person-7", "why?", 30), ("person-7", REASON, 10**6)],
)
def test_without_a_wearer_or_a_reason_nothing_is_shown(
    site: tuple[Path, int], person: str, reason: str, minutes: int
) -> None:
    data, now_ns = site
    with pytest.raises(InputError, match="--"):
        look(data, CHANNELS, person, "li.wei", reason, minutes, now_ns)
    assert list(looks(data)) == []


def test_where_the_log_cannot_be_written_nothing_is_shown(site: tuple[Path, int]) -> None:
    data, now_ns = site
    (data / LOG).mkdir()
    with pytest.raises(InputError, match="nothing is shown"):
        look(data, CHANNELS, "person-7", "li.wei", REASON, 30, now_ns)


def test_the_command_asks_for_actor_and_reason(tmp_path: Path) -> None:
    write_channels(tmp_path / "channels.csv", CHANNELS)
    settings = tmp_path / "gateway.toml"
    settings.write_text('[site]\nid = "east"\nchannels = "channels.csv"\n')
    command = [sys.executable, "-m", "gateway.cli", "vitals", str(settings)]

    bare = subprocess.run([*command, "--person", "person-7"], capture_output=True, text=True, timeout=60)
    assert bare.returncode == 2
    assert "--actor" in bare.stderr
    assert "--reason" in bare.stderr
    log = subprocess.run([*command, "--log"], capture_output=True, text=True, timeout=60)
    assert (log.returncode, log.stdout) == (0, "")
