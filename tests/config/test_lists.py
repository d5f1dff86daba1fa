"""Lists: the channel list, links and announced works; every bad row by its line, all of them at once."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import Link, Planned
from config.errors import SettingsError
from config.lists import (
    CREDIT_ALPHABET,
    credit_code_mistake,
    read_channels,
    read_context,
    read_links,
    time_ns,
)

HEADER = "channel,medium,place,quantity,unit,period_s"
ROW = "a.pressure,gas,a,pressure,kPa,1"
VALID = "91350100M000100Y43"  # GB 32100-2015, the worked example of the domain facts
FULL = f"{HEADER},resolution,nominal,zone,lat,lon,owner,grid,low,high"


def channel_list(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "channels.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def mistakes(path: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        read_channels(path)
    return refusal.value.mistakes


def test_a_full_row_is_read_column_by_column_and_unknown_columns_are_kept(tmp_path: Path) -> None:
    row = f"a.p,gas,a,pressure,kPa,5,0.1,300,z1,30.67,104.12,{VALID},510108014001,1,400,valve V3"
    table, warnings = read_channels(channel_list(tmp_path, row, header=f"{FULL},served by"))

    channel = table[0]
    assert warnings == []
    assert (channel.id, channel.medium, channel.place, channel.zone) == ("a.p", "gas", "a", "z1")
    assert (channel.period_s, channel.resolution, channel.nominal) == (5.0, 0.1, 300.0)
    assert (channel.lat, channel.lon, channel.low, channel.high) == (30.67, 104.12, 1.0, 400.0)
    assert (channel.owner, channel.grid) == (VALID, "510108014001")
    assert channel.attributes == {"served by": "valve V3"}


def test_a_list_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    path.write_bytes(f'\ufeff{HEADER}\r\na.p , gas ,"riser, block 3",pressure,kPa,1\r\n,,,,,\r\n'.encode())
    table, _ = read_channels(path)
    assert (table.ids, table.place) == (("a.p",), ("riser, block 3",))


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    header = "period_s,unit,quantity,place,medium,channel"
    table, _ = read_channels(channel_list(tmp_path, "1,kPa,pressure,a,gas,a.p", header=header))
    assert table[0].unit == "kPa"


def test_every_bad_row_is_listed_with_its_line(tmp_path: Path) -> None:
    path = channel_list(
        tmp_path,
        ROW,
        ROW,
        "b.p,gaz,b,presure,kpa,1",
        "c.p,gas,c,pressure,kPa,0",
        "d.p,gas,d,pressure,kPa,often",
        "e.p,gas,,pressure,Cel,1",
        "f*,gas,f,pressure,kPa,1",
        "g.p,gas,g,pressure,kPa,1,extra",
        ",,,,,",
        "h.p,gas,h,pressure,kPa,",
    )
    units = "Pa, hPa, kPa, MPa, mbar, bar, m[H2O], cm[H2O], mm[H2O], mm[Hg], [psi], atm"
    refused = f'"Cel" (temperature) cannot be converted to "kPa" (pressure); units of pressure: {units}'
    assert mistakes(path) == (
        "channels.csv:3: channel a.pressure is in line 2 already; each needs its own id",
        'channels.csv:4: medium: unknown medium "gaz"; did you mean gas?',
        'channels.csv:4: quantity: unknown quantity "presure"; did you mean pressure?',
        'channels.csv:4: unit: unknown unit "kpa"; did you mean kPa?',
        "channels.csv:5: period_s: must be above 0, not 0",
        'channels.csv:6: period_s: "often" is not a number',
        "channels.csv:7: place: missing",
        f"channels.csv:7: unit: does not fit pressure: {refused}",
        'channels.csv:8: channel: "f*" must not hold blanks or any of * ? [ ]',
        "channels.csv:9: has 7 cells under 6 columns; quote texts with commas",
        "channels.csv:11: period_s: missing",
    )


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("-0.1,,,,,,,,", "resolution: must not be negative, not -0.1"),
        (",nan,,,,,,,", 'nominal: "nan" is not a number'),
        (",1e999,,,,,,,", 'nominal: "1e999" is not a number'),
        (",,,91,104,,,,", "lat: 91 lies outside -90 … 90"),
        (",,,30,181,,,,", "lon: 181 lies outside -180 … 180"),
        (",,,30,,,,,", "lat and lon go together"),
        (",,,,,91350100M000100Y44,,,", "the last character would be 3"),
        (",,,,,,,5,5", "low: 5 must lie below high 5"),
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path: Path, cells: str, told: str) -> None:
    (mistake,) = mistakes(channel_list(tmp_path, f"{ROW},{cells}", header=FULL))
    assert mistake.startswith("channels.csv:2: ")
    assert told in mistake


def test_in_a_replay_unknown_units_and_quantities_are_warnings(tmp_path: Path) -> None:
    path = channel_list(
        tmp_path, "a.p,gas,a,presure,kPa,1", "b.p,gas,b,pressure,furlong,1", "c.p,gas,c,pressure,Cel,1"
    )
    table, warnings = read_channels(path, strict=False)
    assert len(table) == 3
    assert [warning.split(": ")[1] for warning in warnings] == ["quantity", "unit", "unit"]


def test_a_quantity_of_another_medium_is_odd_and_kept(tmp_path: Path) -> None:
    table, (warning,) = read_channels(channel_list(tmp_path, "a.v,gas,a,voltage,V,1"))
    assert len(table) == 1
    assert "voltage is unusual for gas" in warning


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (HEADER, "lists no channel"),
        (HEADER.replace("unit", "units") + "\n" + ROW, "no column unit; is it units?"),
        (HEADER + ",unit\n" + ROW, "two columns are named unit"),
        (f'{HEADER}\n"a.p,gas\n', "not CSV"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "channels.csv"
    path.write_text(text, "utf-8")
    assert any(told in mistake for mistake in mistakes(path))


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_crash(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(f"{HEADER}\n{text}", "utf-8", errors="surrogatepass")
    try:
        read_channels(path)
    except SettingsError as error:
        assert error.mistakes


def test_the_worked_credit_code_checks() -> None:
    assert credit_code_mistake(VALID) is None


@given(st.integers(0, 17), st.sampled_from(CREDIT_ALPHABET))
def test_a_credit_code_with_one_character_changed_does_not_check(position: int, sign: str) -> None:
    changed = VALID[:position] + sign + VALID[position + 1 :]
    assert (credit_code_mistake(changed) is None) == (changed == VALID)


@pytest.mark.parametrize("code", ["9135", "91350100M000100YI3", VALID.lower()])
def test_a_text_that_is_no_credit_code_says_why(code: str) -> None:
    assert credit_code_mistake(code) is not None


def test_links_are_read_and_unknown_places_are_warned_of(tmp_path: Path) -> None:
    channels, _ = read_channels(channel_list(tmp_path, ROW, "b.p,gas,b,pressure,kPa,1"))
    path = tmp_path / "links.csv"
    path.write_text("from,to,kind\na,b,pipe\na,b,pipe\nb,far,feeds\n", "utf-8")

    links, warnings = read_links(path, channels)

    assert links == (Link("a", "b", "pipe"), Link("b", "far", "feeds"))
    assert warnings == ["links.csv:3: repeats line 2", "links.csv:4: no channel is at far"]


def test_bad_links_are_all_listed(tmp_path: Path) -> None:
    channels, _ = read_channels(channel_list(tmp_path, ROW))
    path = tmp_path / "links.csv"
    path.write_text("from,to,kind\na,a,pipe\na,,pipe\na,b,road\n", "utf-8")
    with pytest.raises(SettingsError) as refusal:
        read_links(path, channels)
    assert [mistake.split(":")[1] for mistake in refusal.value.mistakes] == ["2", "3", "4"]


def test_announced_works_are_read_and_the_unknown_is_kept_with_a_warning(tmp_path: Path) -> None:
    channels, _ = read_channels(channel_list(tmp_path, ROW))
    path = tmp_path / "context.json"
    span = {"start": "2026-01-05T02:00:00+08:00", "end": "2026-01-05T03:00:00Z"}
    works = [("works", "a"), ("wroks", "nowhere"), ("holiday", "*")]
    planned_works = [{"kind": kind, "place": place, **span} for kind, place in works]
    path.write_text(json.dumps({"planned": planned_works}), "utf-8")
    planned, warnings = read_context(path, channels)
    assert planned[0] == Planned(
        "works", "a", time_ns("2026-01-04T18:00:00Z"), time_ns("2026-01-05T03:00:00Z")
    )
    assert [entry.kind for entry in planned] == ["works", "wroks", "holiday"]
    assert warnings[0] == 'context.json: planned[1].kind: unknown kind "wroks"; did you mean works? (kept)'
    assert 'planned[1].place: no place or zone "nowhere"' in warnings[1]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"planned": 5}',
        '{"planned": [5]}',
        '{"planned": [{"kind": "works"}]}',
        '{"planned": [{"kind": "works", "place": "a", "start": "2026-01-05", "end": "2026-01-06"}]}',
        '{"planned": [{"kind": "works", "place": "a", "start": "noon", "end": "2026-01-06T00Z"}]}',
        '{"planned": [{"kind": "works", "place": "a", "start": "2026-01-06T00Z", "end": "2026-01-05T00Z"}]}',
        "[" * 100_000,
    ],
)
def test_a_context_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str) -> None:
    channels, _ = read_channels(channel_list(tmp_path, ROW))
    path = tmp_path / "context.json"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"context\.json"):
        read_context(path, channels)
