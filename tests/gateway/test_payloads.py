"""Payloads: what a device says becomes columns; what cannot be used is named, and harms nothing else."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from config.errors import SettingsError
from config.profiles import Point, Profile, read_profile
from gateway.payloads import MOST_BYTES, Decoded, Decoder, Message
from ingest.readings import BAD, GOOD, STAMPED

NOW_NS = 1_760_000_123_456_789_000
MS = 1_760_000_000_012
TOPIC = "watchline/v1/east/+/readings"
SITE = ChannelTable(
    [
        Channel(f"band-{band}.{point}", "wristband", f"person-{band}", point, unit, 60.0)
        for band in (1, 2)
        for point, unit in (("heart_rate", "/min"), ("spo2", "%"), ("sos", "1"), ("skin_temperature", "Cel"))
    ]
    + [Channel("gas.block3.riser.pressure", "gas", "gas.block3.riser", "pressure", "kPa", 1.0)]
)
HEART_RATE, SPO2, SOS = (SITE.number[f"band-1.{point}"] for point in ("heart_rate", "spo2", "sos"))
BAND = read_profile("wristband")


def decoded(*messages: Message, **options: Any) -> Decoded:
    return Decoder(SITE, TOPIC, band=BAND, **options).decode(messages, NOW_NS)


def said(content: Any, device: str = "band-1", **flags: bool) -> Message:
    """A message; content is JSON unless it is bytes already."""
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Message(f"watchline/v1/east/{device}/readings", payload, **flags)


def table(result: Decoded) -> list[tuple[str, float]]:
    return [(SITE.ids[c], v) for c, v in zip(result.readings.channel, result.readings.value.tolist())]


def reasons(result: Decoded) -> list[str]:
    return [f"{left.reason}: {left.detail}" for _, left in result.dead]


def test_a_message_feeds_the_channels_of_its_device() -> None:
    result = decoded(said({"t": MS, "v": {"heart_rate": 71, "sos": True}}))

    assert table(result) == [("band-1.heart_rate", 71.0), ("band-1.sos", 1.0)]
    assert result.readings.time_ns.tolist() == [MS * 10**6] * 2
    assert (result.readings.arrival_ns == NOW_NS).all()
    assert (result.readings.flags == STAMPED).all()
    assert not result.dead
    assert not result.left


def test_a_device_may_have_dots_in_its_name() -> None:
    assert table(decoded(said({"v": {"pressure": 2.1}}, "gas.block3.riser"))) == [
        ("gas.block3.riser.pressure", 2.1)
    ]


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (MS, datetime(2025, 10, 9, 8, 53, 20, 12_000, UTC)),
        (float(MS) + 0.5, datetime(2025, 10, 9, 8, 53, 20, 12_500, UTC)),
        ("2026-01-31T08:00:00.25+08:00", datetime(2026, 1, 31, 0, 0, 0, 250_000, UTC)),
        ("2026-01-31T00:00:00Z", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_times_are_milliseconds_or_rfc_3339(t: Any, expected: datetime) -> None:
    (time_ns,) = decoded(said({"t": t, "v": {"heart_rate": 70}})).readings.time_ns

    assert time_ns == int((expected - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6) * 1000


@pytest.mark.parametrize("entry", [{"v": {"heart_rate": 70}}, {"t": None, "v": {"heart_rate": 70}}])
def test_without_a_time_the_arrival_is_the_time_and_the_reading_is_not_stamped(entry: Any) -> None:
    readings = decoded(said(entry)).readings

    assert readings.time_ns.tolist() == [NOW_NS]
    assert readings.flags.tolist() == [0]


def test_a_backlog_comes_out_of_order_and_keeps_its_times() -> None:
    result = decoded(said([{"t": MS - s * 1000, "v": {"heart_rate": 60 + s}} for s in (0, 30, 10, 20)]))

    assert result.readings.value.tolist() == [60, 90, 70, 80]
    assert (np.diff(result.readings.time_ns) != 0).all()


@pytest.mark.parametrize("raw", [0, 255])
@pytest.mark.parametrize("point", ["heart_rate", "spo2", "skin_temperature"])
def test_a_band_off_the_wrist_gives_bad_readings(raw: int, point: str) -> None:
    readings = decoded(said({"v": {point: raw, "sos": 0}})).readings

    assert readings.quality.tolist() == [BAD, GOOD]
    assert np.isnan(readings.value[0])
    assert readings.value[1] == 0


def test_a_profile_says_what_a_devices_numbers_are() -> None:
    meter = Profile(
        "meter",
        "A meter",
        "mqtt",
        (Point("pressure", "pressure", "bar", scale=0.1, sentinel=(-1,)),),
    )

    readings = decoded(
        said([{"v": {"pressure": 5}}, {"v": {"pressure": -1}}], "gas.block3.riser"), profile=meter
    ).readings

    assert readings.value[0] == pytest.approx(50.0)
    assert readings.quality.tolist() == [GOOD, BAD]


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b"\xff\xfe{}", "not UTF-8", id="not UTF-8"),
        pytest.param(b'{"v":{"\xff":1}}', "not UTF-8", id="a name that is not UTF-8"),
        pytest.param(b"", "empty payload", id="empty"),
        pytest.param(b"hello", "not JSON", id="not JSON"),
        pytest.param(b'{"v":{"heart_rate":1', "not JSON", id="cut off"),
        pytest.param(b'{"v":{"heart_rate":1}} x', "not JSON", id="more behind it"),
        pytest.param(DEEP, "nested too deeply", id="deep"),
        pytest.param(b'{"v":{},"x":' + DEEP + b"}", "nested too deeply", id="deep beside"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep and cut off"),
        pytest.param(b'{"v":{"heart_rate":1}}' + b" " * MOST_BYTES, "at most 262,144", id="huge"),
        pytest.param(b"5", "not an entry", id="a number alone"),
        pytest.param(b"null", "not an entry", id="null"),
        pytest.param(b'["a"]', "not an entry", id="an array of texts"),
        pytest.param(b'{"values":{"heart_rate":1}}', "not an entry", id="other keys"),
        pytest.param(b'{"v":[1,2]}', "not an entry", id="a list of values"),
        pytest.param(b'{"v":{"heart_rate":"70"}}', "not a number", id="a text"),
        pytest.param(b'{"v":{"heart_rate":null}}', "not a number", id="no value"),
        pytest.param(b'{"v":{"heart_rate":{"x":1}}}', "not a number", id="an object"),
        pytest.param(b'{"v":{"heart_rate":NaN}}', "not a number", id="NaN"),
        pytest.param(b'{"v":{"heart_rate":1e999}}', "not a number", id="beyond a float"),
        pytest.param(b'{"v":{"heart_rate":' + b"9" * 400 + b"}}", "not a number", id="a huge integer"),
        pytest.param(b'{"v":{"heart_rate":' + b"9" * 9000 + b"}}", "not JSON", id="a monstrous integer"),
        pytest.param(b"[]", "no readings", id="an empty array"),
        pytest.param(b'{"v":{}}', "no readings", id="no points"),
        pytest.param(b'{"v":{"pulse":70}}', 'no channel for point "pulse"', id="an unknown point"),
        pytest.param(b'{"t":1760000000,"v":{"heart_rate":1}}', "in seconds", id="seconds"),
        pytest.param(b'{"t":-5,"v":{"heart_rate":1}}', "2000 to 2099", id="long ago"),
        pytest.param(b'{"t":1e30,"v":{"heart_rate":1}}', "2000 to 2099", id="long hence"),
        pytest.param(b'{"t":' + b"9" * 40 + b',"v":{"heart_rate":1}}', "2000 to 2099", id="beyond int64"),
        pytest.param(b'{"t":"9999-12-31T23:59:59Z","v":{"heart_rate":1}}', "2000 to 2099", id="year 9999"),
        pytest.param(b'{"t":"2026-01-31T08:00:00","v":{"heart_rate":1}}', "Z or an offset", id="no zone"),
        pytest.param(b'{"t":"yesterday","v":{"heart_rate":1}}', "not a time", id="a word for t"),
        pytest.param(b'{"t":true,"v":{"heart_rate":1}}', "not a time", id="a boolean for t"),
    ],
)
def test_a_payload_that_cannot_be_used_is_dead_with_its_reason(payload: bytes, reason: str) -> None:
    result = decoded(said(payload), said({"v": {"heart_rate": 70}}))

    assert [number for number, _ in result.dead] == [0]
    assert reason in reasons(result)[0]
    assert table(result) == [("band-1.heart_rate", 70.0)], "the next message is not touched"


def test_an_unknown_device_and_a_strange_topic_are_dead() -> None:
    result = decoded(
        said({"v": {"heart_rate": 1}}, "band-9"),
        Message("watchline/v1/west/band-1/readings", b"{}"),
        Message("", b"{}"),
        said({"v": {"heart_rate": 1}}, "a\nb" + "x" * 500),
    )

    assert [number for number, _ in result.dead] == [0, 1, 2, 3]
    assert "no channel of channels.csv is named band-9.<point>" in reasons(result)[0]
    assert "topic does not fit" in reasons(result)[1]
    assert "\n" not in reasons(result)[3]
    assert len(reasons(result)[3]) < 300


def test_good_points_of_a_message_are_kept_beside_unknown_and_broken_ones() -> None:
    result = decoded(
        said({"v": {"pulse": 3, "heart_rate": 70}}),
        said(b'{"v":{"heart_rate":NaN,"sos":true}}'),
        said(b'[{"v":{"spo2":97}},{"t":"?","v":{"spo2":98}},7]'),
    )

    assert table(result) == [("band-1.heart_rate", 70.0), ("band-1.sos", 1.0), ("band-1.spo2", 97.0)]
    assert not result.dead
    assert sorted((left.reason, left.readings) for _, left in result.left) == [
        ("not a number", 1),
        ("not a time", 1),
        ("not an entry", 1),
        ("unknown point", 1),
    ]


def test_a_retained_message_without_a_time_is_not_taken_for_news() -> None:
    result = decoded(
        said({"v": {"sos": 1}}, retained=True),
        said({"t": MS, "v": {"sos": 1}}, retained=True),
    )

    assert "nobody knows how old" in reasons(result)[0]
    assert len(result.readings) == 1


@pytest.mark.parametrize("topic", ["a/b", "a/+/+/b", "a/#", "+/#", "a+/b"])
def test_a_topic_without_one_place_for_the_device_is_a_mistake(topic: str) -> None:
    with pytest.raises(SettingsError, match="must hold one"):
        Decoder(SITE, topic)


def test_a_shared_subscription_and_a_topic_of_ones_own_find_the_device() -> None:
    decoder = Decoder(SITE, "$share/gateways/plant/+/data")

    result = decoder.decode([Message("plant/band-2/data", b'{"v":{"spo2":98}}')], NOW_NS)

    assert table(result) == [("band-2.spo2", 98.0)]


values = st.dictionaries(
    st.sampled_from(["heart_rate", "spo2", "sos", "skin_temperature"]),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(1, 10**6) | st.booleans(),
    min_size=1,
)
entries = st.fixed_dictionaries(
    {"v": values}, optional={"t": st.integers(946_684_800_000, 4_102_444_799_999)}
)


@given(st.lists(st.lists(entries, min_size=1, max_size=4), max_size=8))
def test_any_messages_come_out_as_the_obvious_loop_would_say(sent: list[list[dict[str, Any]]]) -> None:
    result = Decoder(SITE, TOPIC).decode([said(message) for message in sent], NOW_NS)

    expected = [
        (SITE.number[f"band-1.{point}"], entry.get("t", 0) * 10**6 or NOW_NS, float(value))
        for message in sent
        for entry in message
        for point, value in entry["v"].items()
    ]
    readings = result.readings
    assert (
        list(zip(readings.channel.tolist(), readings.time_ns.tolist(), readings.value.tolist())) == expected
    )
    assert not result.dead


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_break_the_decoder_and_every_message_is_accounted_for(payloads: Sequence[bytes]) -> None:
    result = decoded(*[said(payload) for payload in payloads])

    used = len(payloads) - len(result.dead)
    assert len(result.readings) >= used
