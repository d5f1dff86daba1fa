"""Districts of any size."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import ChannelTable, Link
from config.load import read_channels, read_links
from simulators.city import SHARES, City, city
from simulators.district import write_channels, write_links
from simulators.network import Network

ALL = tuple(SHARES)
MEDIA = st.lists(st.sampled_from(ALL), min_size=1, unique=True).map(tuple)


def reached(built: City) -> set[str]:
    """Places that can be reached from the first one, links taken either way."""
    beside: dict[str, set[str]] = {}
    for link in built.links:
        beside.setdefault(link.source, set()).add(link.target)
        beside.setdefault(link.target, set()).add(link.source)
    found = {built.channels[0].place}
    ring = set(found)
    while ring:
        ring = {place for each in ring for place in beside.get(each, ())} - found
        found |= ring
    return found


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 3000), MEDIA)
def test_a_district_has_as_many_channels_as_asked_for_and_is_one_graph(
    size: int, media: tuple[str, ...]
) -> None:
    built = city(size, media)

    table = ChannelTable(built.channels)
    assert len(table) == size
    assert set(table.media) <= set(media)
    assert reached(built) == set(table.places)


def test_a_hundred_thousand_channels_are_no_more_than_a_list() -> None:
    built = city(100_000, ALL)

    assert len({channel.id for channel in built.channels}) == 100_000
    share = sum(channel.medium == "power" for channel in built.channels) / 100_000
    assert share == pytest.approx(SHARES["power"], abs=0.001)


def test_its_lists_can_be_read_strictly_and_say_the_same(tmp_path: Path) -> None:
    built = city(300, ALL)
    write_channels(tmp_path / "channels.csv", ChannelTable(built.channels))
    write_links(tmp_path / "links.csv", built.links)

    channels, warnings = read_channels(tmp_path / "channels.csv")
    links, more = read_links(tmp_path / "links.csv", channels)

    assert warnings == more == []
    assert list(links) == built.links
    for read, made in zip(channels.channels, built.channels, strict=True):
        assert (read.id, read.quantity, read.zone, read.attributes.get("via", "")) == (
            made.id, made.quantity, made.zone, made.attributes.get("via", ""),
        )  # fmt: skip
        np.testing.assert_equal([read.nominal, read.lat, read.lon], [made.nominal, made.lat, made.lon])


def test_nominal_values_are_chinese_ones() -> None:
    nominal = {(c.medium, c.quantity, c.nominal) for c in city(300, ALL).channels if not np.isnan(c.nominal)}

    assert nominal == {
        ("water", "pressure", 300.0), ("gas", "pressure", 300.0), ("gas", "pressure", 2.0),
        ("power", "voltage", 220.0), ("power", "voltage_min", 220.0), ("power", "voltage", 10000.0),
        ("power", "frequency", 50.0),
    }  # fmt: skip


def test_what_feeds_another_network_does_not_carry_its_medium() -> None:
    built = city(400, ("water", "power"))
    water = Network(ChannelTable(built.channels), built.links, "water")

    assert {link.kind for link in built.links} == {"pipe", "cable", "feeds"}
    roots = {water.root(place) for place in water.order}
    assert len(roots) == len({channel.zone for channel in built.channels})


def test_blocks_are_trees_of_pipes_of_their_own() -> None:
    channels = ChannelTable(city(60, ("gas",)).channels)
    links = city(60, ("gas",)).links

    gas = Network(channels, links, "gas")

    assert len(gas.feeder) == len(gas.order) - 1
    assert all(isinstance(link, Link) and link.kind == "pipe" for link in links)
