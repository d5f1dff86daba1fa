"""Check: reads settings, says every mistake and the expected alarm load, and starts nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main

SITE = """\
[site]
id = "north"
channels = "channels.csv"

[[source]]
kind = "modbus"
host = "127.0.0.1"
port = 1
place = "a"
profile = "water_rtu"
"""
CHANNELS = """\
channel,medium,place,quantity,unit,period_s
a.pressure,water,a,pressure,kPa,1
a.flow,water,a,flow,m3/h,1
"""
CENTRE = """\
[store]
path = "casebook.sqlite"
[[gateway]]
id = "north"
secret = { env = "WL_SIGN" }
"""


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WL_SIGN", "whsec_QUJDREVGR0hJSktMTU5PUA==")


def site(tmp_path: Path, settings: str = SITE, channels: str = CHANNELS) -> Path:
    (tmp_path / "channels.csv").write_text(channels, "utf-8")
    path = tmp_path / "gateway.toml"
    path.write_text(settings, "utf-8")
    return path


def centre(tmp_path: Path, settings: str = CENTRE) -> Path:
    path = tmp_path / "centre.toml"
    path.write_text(settings, "utf-8")
    return path


def checked(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, str, str]:
    code = main(["check", *map(str, paths)])
    out, err = capsys.readouterr()
    return code, out, err


def as_json(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, Any]:
    code = main(["check", "--json", *map(str, paths)])
    return code, json.loads(capsys.readouterr().out)


def test_a_country_without_known_holidays_is_a_mistake_of_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = checked(capsys, centre(tmp_path, CENTRE + '[cases]\nholidays = "Chna"\n'))

    assert code == 2
    assert 'cases.holidays: no country "Chna"; did you mean "CN"?' in err
    assert "centre.toml:" in err


def test_good_settings_are_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = checked(capsys, site(tmp_path), centre(tmp_path))

    assert code == 0
    assert "gateway.toml: settings of gateway north, no mistakes" in out
    assert "2 (2 water)" in out
    assert "centre.toml: settings of a centre, no mistakes" in out
    assert "expected per operator-day" in out
    assert "alerts are told to nobody" in err


def test_nothing_is_started_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {site(tmp_path), centre(tmp_path), tmp_path / "channels.csv"}
    checked(capsys, tmp_path / "gateway.toml", tmp_path / "centre.toml")
    assert set(tmp_path.iterdir()) == before


def test_there_is_one_expected_total_of_false_alarms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = as_json(capsys, site(tmp_path))
    summary = answer["files"][0]["summary"]

    assert (code, answer["ok"]) == (0, True)
    assert 0 < summary["expected_false_alarms_per_day"] < summary["operator_budget_per_day"] == 144
    by_rule = sum(rule["per_day"] for rule in summary["expected_by_rule"])
    assert by_rule == pytest.approx(summary["expected_false_alarms_per_day"])


def test_more_channels_cost_more_false_alarms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def total(channels: str) -> float:
        answer = as_json(capsys, site(tmp_path, channels=channels))[1]
        return float(answer["files"][0]["summary"]["expected_false_alarms_per_day"])

    more = "".join(f"b{number}.pressure,water,b{number},pressure,kPa,1\n" for number in range(20))
    assert total(CHANNELS + more) > 5 * total(CHANNELS)


def test_the_mistakes_of_all_files_come_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = checked(
        capsys,
        site(
            tmp_path,
            SITE.replace("hst", "").replace('"north"', '"the north"'),
            CHANNELS.replace("kPa", "kpa"),
        ),
        centre(tmp_path, CENTRE.replace("path", "paht")),
        tmp_path / "none.toml",
    )
    assert (code, out) == (2, "")
    wanted = "must be 1 to 64 letters, digits, . _ or -: it becomes part of topics and addresses"
    assert err.splitlines() == [
        f'gateway.toml:2: site.id: {wanted}, not "the north"',
        'channels.csv:2: unit: unknown unit "kpa"; did you mean kPa?',
        "centre.toml:1: store.path: missing; add path = … (the casebook, an SQLite file)",
        'centre.toml:2: store.paht: unknown key; did you mean path? (its value: "casebook.sqlite")',
        f"{tmp_path}/none.toml: cannot be read: No such file or directory",
        "5 mistakes; nothing was started",
    ]


def test_mistakes_as_json_exit_2_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = as_json(capsys, site(tmp_path, SITE.replace("host", "hots")))
    meaning = "name or address of the device, or of the gateway in front of it"
    assert (code, answer["ok"]) == (2, False)
    assert answer["files"][0]["mistakes"] == [
        f"gateway.toml:5: source[0].host: missing; add host = … ({meaning})",
        'gateway.toml:7: source[0].hots: unknown key; did you mean host? (its value: "127.0.0.1")',
    ]


def test_a_syntax_error_is_told_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = checked(capsys, site(tmp_path, SITE.replace('id = "north"', 'id = "north')))
    assert code == 2
    assert err.startswith("gateway.toml:2: not TOML: ")
    assert len(err.splitlines()) == 2


def test_a_file_that_cannot_be_placed_is_taken_as_gateway_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = checked(capsys, centre(tmp_path, "colour = 5\n"))
    assert code == 2
    assert "site: missing" in err
    assert "colour: unknown key" in err


def test_points_without_a_channel_and_channels_without_a_source_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = CHANNELS.replace("a.flow", "b.flow")
    code, _, err = checked(capsys, site(tmp_path, channels=channels))
    assert code == 0
    assert "gateway.toml:5: source[0]: a.flow: no such channel, so not read" in err
    assert "no source feeds b.flow" in err


def test_a_device_that_feeds_no_channel_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = checked(capsys, site(tmp_path, SITE.replace('place = "a"', 'place = "z"')))
    assert code == 2
    assert 'source[0]: no channel of channels.csv belongs to place "z"' in err


def test_a_broker_may_bring_every_channel_that_no_device_feeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    band = "band-1.heart_rate,wristband,person-1,heart_rate,/min,60\n"
    broker = '[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\n'
    assert "no source feeds band-1.heart_rate" in checked(capsys, site(tmp_path, SITE, CHANNELS + band))[2]
    assert "no source feeds" not in checked(capsys, site(tmp_path, SITE + broker, CHANNELS + band))[2]


def test_two_devices_that_feed_one_channel_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = SITE + SITE[SITE.index("[[source]]") :]
    assert "more than one source feeds a.pressure, a.flow" in checked(capsys, site(tmp_path, twice))[2]


def test_wristbands_without_a_bucket_of_their_own_are_withheld_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    band = "band-1.heart_rate,wristband,person-1,heart_rate,/min,60\n"
    influx = '[influxdb]\nurl = "http://127.0.0.1:1"\nbucket = "lifelines"\n'
    assert (
        "wristband readings are withheld"
        in checked(capsys, site(tmp_path, SITE + influx, CHANNELS + band))[2]
    )


def test_a_secret_is_in_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WL_TOKEN", "hunter2")
    influx = '[influxdb]\nurl = "http://127.0.0.1:1"\nbucket = "a"\ntoken = { env = "WL_TOKEN" }\n'
    for text in (
        influx,
        influx + 'wristband_token = "hunter2"\n',
        influx.replace("]\n", ']\ntoken = "hunter2\n'),
    ):
        _, out, err = checked(capsys, site(tmp_path, SITE + text))
        assert "hunter2" not in out + err


def test_the_command_works_from_a_shell(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway.cli", "check"]
    bad = subprocess.run([*command, site(tmp_path, "x")], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("gateway.toml:1: not TOML")
    help = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "watchline check gateway.toml centre.toml" in help.stdout


def test_false_alarms_are_expected_by_rule_and_by_channel_the_worst_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = CHANNELS + "b.flow,water,b,flow,m3/h,60\n"
    loud = SITE + '[[watching]]\nkind = "jump"\nchannels = "a.flow"\nwarning = 0.3\n'
    path = site(tmp_path, loud, slow)
    _, out, _ = checked(capsys, path)
    main(["check", str(path), "--json"])
    told = json.loads(capsys.readouterr().out)["files"][0]["summary"]

    assert told["expected_by_channel"][0]["channel"] == "a.flow"
    assert told["expected_by_rule"][0]["rule"] == "jump"
    total = sum(one["per_day"] for one in told["expected_by_channel"])
    assert total == pytest.approx(told["expected_false_alarms_per_day"])
    assert "by rule      jump" in out
    assert "most from a.flow" in out


def test_switching_off_what_guards_lives_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    off = '\n[[watching]]\nkind = "{}"\nenabled = false\n'
    gas = "a.ch4,gas,a,ch4,%{LEL},1\n"
    settings = site(tmp_path, SITE + off.format("limits") + off.format("jump"), CHANNELS + gas)

    code, _, err = checked(capsys, settings)

    assert code == 0
    assert "limits is switched off on a.ch4" in err
    assert "jump is switched off" not in err


HOLLOW = '''"""Hollow: a detector of somebody's own, that says what it found."""

from dataclasses import dataclass
from typing import ClassVar

from detectors.drift import Drift


@dataclass(frozen=True)
class Hollow(Drift):
    kind: ClassVar[str] = "hollow_road"
'''
RECORD = """[kind.any.hollow_road]
purpose = ["Find a hollow.", "发现空洞。"]
consequence = ["The road caves in.", "路面塌陷。"]
respond = "12h"
"""


def test_a_rule_without_a_rationale_is_named_with_its_line_and_the_table_it_wants(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_hollow").mkdir()
    (tmp_path / "own_hollow" / "hollow.py").write_text(HOLLOW, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    watching = '\n[[watching]]\nkind = "own_hollow.hollow"\nchannels = "a.pressure"\n'

    _, _, without = checked(capsys, site(tmp_path, SITE + watching))
    (tmp_path / "why.toml").write_text(RECORD, "utf-8")
    named = SITE.replace('channels = "channels.csv"\n', 'channels = "channels.csv"\nrationale = "why.toml"\n')
    code, _, beside = checked(capsys, site(tmp_path, named + watching))

    assert (
        "gateway.toml:12: watching[0]: no rationale of hollow_road: write [kind.any.hollow_road]" in without
    )
    assert 'rationale = "rationale.toml"' in without
    assert code == 0
    assert "no rationale" not in beside


def test_a_rationale_that_cannot_be_used_is_a_mistake_of_its_own_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "why.toml").write_text(RECORD.replace('"12h"', '"soon"'), "utf-8")
    key = 'rationale = "why.toml"\n'
    named = SITE.replace('channels = "channels.csv"\n', f'channels = "channels.csv"\n{key}')
    with pytest.raises(SystemExit) as ended:
        sys.exit(
            main(["check", str(site(tmp_path, named)), str(centre(tmp_path, f"{CENTRE}[cases]\n{key}"))])
        )

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("why.toml:4: kind.any.hollow_road.respond") == 2


def test_where_a_rationale_lies_is_no_change_of_settings(tmp_path: Path) -> None:
    from config.load import read_site

    before = read_site(site(tmp_path)).hash
    (tmp_path / "why.toml").write_text(RECORD, "utf-8")
    named = SITE.replace('channels = "channels.csv"\n', 'channels = "channels.csv"\nrationale = "why.toml"\n')

    assert read_site(site(tmp_path, named)).hash == before
