"""The places of a medium as a tree."""

import numpy as np

from config.channels import Channel, ChannelTable, Link
from simulators.network import Network


def network(*links: str, places: str = "abcd") -> Network:
    channels = ChannelTable([Channel(f"{p}.pressure", "water", p, "pressure", "kPa", 60.0) for p in places])
    return Network(channels, [Link(link[0], link[1], "pipe") for link in links], "water")


def test_what_is_drawn_below_passes_every_place_above() -> None:
    tree = network("ab", "bc", "bd")

    passing = tree.through({place: np.array([1.0]) for place in "abcd"})

    assert {place: float(flow[0]) for place, flow in passing.items()} == {"a": 4, "b": 3, "c": 1, "d": 1}


def test_losses_add_up_from_the_root() -> None:
    tree = network("ab", "bc", "bd")

    lost = tree.lost({"a": np.array([1.0]), "b": np.array([2.0]), "c": np.array([4.0]), "d": np.array([8.0])})

    assert {place: float(loss[0]) for place, loss in lost.items()} == {"a": 1, "b": 3, "c": 7, "d": 11}


def test_a_ring_is_cut_and_a_place_without_links_stands_alone() -> None:
    tree = network("ab", "bc", "ca")

    assert tree.feeder == {"b": "a", "c": "b"}
    assert tree.root("c") == "a"
    assert tree.root("d") == "d"
    assert tree.neighbours("b") == ("a", "c")
    assert tree.neighbours("d") == ()


def test_links_of_other_media_are_not_followed() -> None:
    channels = ChannelTable(
        [
            Channel("a.pressure", "water", "a", "pressure", "kPa", 60.0),
            Channel("b.voltage", "power", "b", "voltage", "V", 60.0),
        ]
    )

    assert Network(channels, [Link("b", "a", "feeds")], "water").order == ("a",)
