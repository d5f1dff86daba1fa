"""Upstream: where a place could be shut off, against the flow and no farther than the first valves."""

from alerts.upstream import Upstream
from config.channels import Channel, ChannelTable, Link
from detectors.findings import ALARM
from tests.alerts.world import Site

CHANNELS = ChannelTable(
    [
        Channel("station.valve", "gas", "station", "valve_state", "1", 60.0),
        Channel("street.valve", "gas", "street", "valve_state", "1", 60.0),
        Channel("house.pressure", "gas", "house", "pressure", "kPa", 60.0),
        Channel("yard.pressure", "gas", "yard", "pressure", "kPa", 60.0),
    ]
)
LINKS = [Link("station", "street", "pipe"), Link("street", "house", "pipe"), Link("house", "yard", "pipe")]


def test_the_nearest_valve_against_the_flow_and_none_behind_it() -> None:
    upstream = Upstream(LINKS, CHANNELS)

    assert upstream.of("yard") == [{"place": "street", "hops": 2, "valve": "street.valve"}]
    assert upstream.of("street") == [{"place": "street", "hops": 0, "valve": "street.valve"}]


def test_without_a_valve_what_feeds_it_and_of_a_source_or_a_stranger_nothing() -> None:
    upstream = Upstream([Link("a", "b", "pipe"), Link("c", "b", "pipe")], CHANNELS)

    assert upstream.of("b") == [{"place": "a", "hops": 1}, {"place": "c", "hops": 1}]
    assert upstream.of("a") == []
    assert upstream.of("nowhere") == []


def test_pipes_that_run_in_a_circle_end() -> None:
    circle = [Link("a", "b", "pipe"), Link("b", "a", "pipe")]

    assert Upstream(circle, CHANNELS).of("a") == [{"place": "b", "hops": 1}]


def test_whoever_is_called_is_told_where_to_shut_it_off() -> None:
    site = Site([("jump", "yard.pressure", "")], links=LINKS, channels=CHANNELS)
    site.set("jump", "yard.pressure", ALARM, -1)
    (raised,) = site.tick()

    assert raised.notify
    assert raised.extra["upstream"][0]["valve"] == "street.valve"
