"""Evidence: one packet holds what somebody needs who is sent out; nothing of a wearer's body is in it."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts.alert import rfc3339
from alerts.centre.evidence import packet
from alerts.centre.sight import Eye, reason, whole
from alerts.centre.words import Words
from alerts.shortmessage import size_of
from config.rationale import read_own_rationale
from tests.alerts.centre.calling.office import START_NS, Office, story
from tests.alerts.centre.people.district import bring, credit_code, settle
from tests.alerts.centre.world import centre

GRID = "510108003002-01"
SHANGHAI = ZoneInfo("Asia/Shanghai")
LAT, LON = 30.6612, 104.1203
WHY = {
    "expected": 312.0, "low": 305.0, "high": 320.0, "silent": {"above": 305.0},
    "by_rule": [{"rule": "jump", "score": 0.91, "share": 1.0}],
    "text": "Expected 312 kPa. It would have been silent above 305 kPa.",
    "text_zh": "预期 312 kPa。若读数高于 305 kPa，则不会报警。",
}  # fmt: skip
GIVEN: dict[str, Any] = {
    "owner": "gas_company", "why": WHY, "because_zh": "压力突然下降。",
    "location": {"lat": LAT, "lon": LON, "datum": "WGS84"},
    "upstream": [{"place": "gas.station", "hops": 2, "valve": "gas.station.valve"}],
    "plot": {"end": rfc3339(START_NS), "period_s": 60.0, "unit": "kPa", "values": [312.0, 311.0, 220.0]},
}  # fmt: skip


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = settle(tmp_path_factory.mktemp("district") / "people.sqlite", 200)
    assets = [
        {"asset": "gas.block3", "medium": "gas", "grid": GRID, "owner": credit_code(0), "valve": "v-17"}
    ]
    bring(directory, "assets", assets)
    near = {"camera": "cam-1", "name": "North gate", "grid": GRID, "lat": LAT + 0.001, "lon": LON}
    far = {"camera": "cam-2", "name": "Far away", "grid": GRID, "lat": LAT + 0.1, "lon": LON}
    link = "https://cameras.example/1"
    bring(directory, "cameras", [{**near, "link": link}, {**far, "link": link}])
    bring(directory, "residents", [{"pseudonym": "r-7f3a", "grid": GRID, "carers": "w-00002"}])
    return directory


@pytest.fixture
def office(district: Path, tmp_path: Path) -> Iterator[Office]:
    there = Office(tmp_path, district)
    yield there
    there.close()


def packed(office: Office, place: str = "gas.block3.riser", **given: Any) -> dict[str, Any]:
    told = story(place, **given)
    office.tell(told.raised())
    incident = office.desk.board.incidents[told.key]
    found = packet(incident, SHANGHAI, office.now_ns, office.caller.receivers)
    assert json.loads(json.dumps(found)) == found
    return found


def test_it_says_what_where_since_when_how_sure_why_and_what_to_do(office: Office) -> None:
    found = packed(office, extra=GIVEN)

    assert found["what"]["title"] == {"en": "gas pipe hit or broken", "zh": "燃气管道外力破坏"}
    assert found["what"]["because"]["zh"] == "压力突然下降。"
    assert found["where"]["map"] == "geo:30.661200,104.120300"
    assert [one["name"] for one in found["where"]["cameras"]] == ["North gate"]
    assert [one["place"] for one in found["where"]["upstream"]] == ["gas.station", "v-17"]
    assert {one["org"] for one in found["where"]["responders"]} >= {GRID, "gas-company"}
    assert found["sure"] == {"certainty": "Observed", "score": 0.91}
    assert found["why"]["silent"] == {"above": 305.0}
    assert found["action"]["respond_s"] == 300.0
    assert found["action"]["respond_by"] == rfc3339(START_NS + 300 * 10**9)
    assert found["action"]["consequence"]["zh"]
    assert ElementTree.fromstring(found["plots"][0]["svg"]).tag.endswith("svg")


def test_the_likely_sources_are_those_that_were_ranked_when_the_last_place_joined(office: Office) -> None:
    first, second = story(), story("gas.block4.riser", incident=story().incident)
    alone = [{"place": "gas.block3.riser", "share": 1.0, "feeds": 0}]
    ranked = [{"place": "gas.block4.riser", "share": 0.7, "feeds": 1, "since": "x"}, *alone]
    office.tell(first.raised(extra={"candidates": alone}))
    office.tell(second.raised(extra={"candidates": ranked}))
    found = packet(office.desk.board.incidents[first.key], SHANGHAI, office.now_ns)

    assert [(one["place"], one["feeds"]) for one in found["where"]["candidates"]] == [
        ("gas.block4.riser", 1),
        ("gas.block3.riser", 0),
    ]


def test_a_districts_own_rationale_says_by_when_to_act(office: Office, tmp_path: Path) -> None:
    (tmp_path / "why.toml").write_text('[kind.gas.third_party_damage]\nrespond = "2m"\n', "utf-8")
    known, _ = read_own_rationale(tmp_path / "why.toml")
    told = story("gas.block3.riser")
    office.tell(told.raised())

    found = packet(
        office.desk.board.incidents[told.key], SHANGHAI, office.now_ns, office.caller.receivers, known
    )

    assert found["action"]["respond_s"] == 120.0
    assert found["action"]["purpose"]["en"].startswith("Notice a pipe that was hit")


def test_the_short_message_fits_one_sms_in_both_languages(office: Office) -> None:
    found = packed(office, place="a.very.long." * 8, extra=GIVEN)

    for language, text in found["sms"].items():
        size = size_of(text)
        assert (size.parts, bool(text)) == (1, True)
        assert found["sms_size"][language] == {
            "alphabet": size.alphabet, "units": size.units, "of": size.most, "parts": 1,
        }  # fmt: skip
    assert "燃气管道外力破坏" in found["sms"]["zh"]


def test_of_a_wearer_there_is_kind_grade_place_and_advice_alone(office: Office) -> None:
    given = {"medium": "wristband", "kind": "fall", "grade": "P2", "channel": None, "extra": GIVEN}
    found = packed(office, place="r-7f3a", **given)
    text = json.dumps({name: found[name] for name in ("where", "why", "plots", "sure")})

    assert found["plots"] == []
    assert "312" not in text and "geo:" not in text and "gas.station" not in text
    assert found["action"]["advice"]["en"]
    assert found["where"]["responders"][0]["person"] == "w-00002"


def test_without_a_directory_and_without_a_word_why_the_rest_is_there(office: Office) -> None:
    told = story()
    office.tell(told.raised())
    found = packet(office.desk.board.incidents[told.key], SHANGHAI, office.now_ns)

    assert found["where"]["responders"] == [] and found["where"]["cameras"] == []
    assert found["why"]["text"] == {"en": "", "zh": ""}


@pytest.mark.parametrize(
    "bad", [7, "x", [1], {"by_rule": 3, "text": 5}, {"by_rule": [{"rule": "jump"}]}, None]
)
def test_whatever_a_gateway_sends_no_page_breaks(office: Office, bad: Any) -> None:
    extra = {"why": bad, "upstream": bad, "candidates": bad, "location": bad, "plot": bad}
    told = story(extra=extra)
    office.tell(told.raised())
    incident = office.desk.board.incidents[told.key]

    assert packet(incident, SHANGHAI, office.now_ns, office.caller.receivers)["grade"] == "P1"
    assert whole(incident, office.desk, Eye(Words("zh"), SHANGHAI, office.now_ns))["evidence"]


def test_reasons_of_changes_are_read_in_the_language_of_the_page() -> None:
    assert reason("now believed to be burst", Words("zh")) == "现判断为 burst"
    assert reason("now believed to be burst", Words("en")) == "now believed to be burst"
    assert reason("as somebody wrote it", Words("zh")) == "as somebody wrote it"


def test_the_page_shows_it_in_both_languages_and_gives_it_as_json(tmp_path: Path) -> None:
    with centre(tmp_path, users={"wang": "staff"}) as there:
        gateway, person = there.gateway(), there.person("wang")
        told = gateway.alarm(extra=GIVEN)
        gateway.tell(told.raised())
        english, chinese = (person.see(f"/incidents/{told.key}?lang={one}") for one in ("en", "zh"))
        found = person.request("GET", f"/incidents/{told.key}/evidence")

        assert "It would have been silent above 305 kPa." in english
        assert "respond within 30 min" in english
        assert "压力突然下降。" in chinese and "若读数高于 305 kPa" in chinese
        assert "Pressure fell by 92 kPa" not in chinese
        assert "gas.station.valve" in chinese
        assert json.loads(found.body)["incident"] == told.key
        assert there.request("GET", f"/incidents/{told.key}/evidence").status in (303, 401, 403)
