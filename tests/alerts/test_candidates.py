"""Candidates: the place from which the others are fed, that turned first and strongest, is named first."""

from typing import Any

from config.channels import Link
from detectors.findings import ALARM
from tests.alerts.world import Site

AWAY = (Link("w.a", "w.b", "pipe"), Link("w.b", "w.c", "pipe"))
BACK = (Link("w.c", "w.b", "pipe"), Link("w.b", "w.a", "pipe"))


def named(site: Site, *channels: str, apart_s: float = 0.0) -> list[dict[str, Any]]:
    """The candidates in the last change, after these turned strange."""
    for channel in channels:
        site.set("jump", channel, ALARM, -1)
        if apart_s:
            site.tick(apart_s)
    if not apart_s:
        site.tick()
    found: list[dict[str, Any]] = site.changes[-1].extra["candidates"]
    return found


def test_what_is_felt_downstream_may_come_from_upstream() -> None:
    everywhere = ("w.a.pressure", "w.b.pressure", "w.c.pressure")

    assert [one["place"] for one in named(Site(links=AWAY), *everywhere)] == ["w.a", "w.b", "w.c"]
    assert [one["place"] for one in named(Site(links=BACK), *everywhere)] == ["w.c", "w.b", "w.a"]
    assert [one["feeds"] for one in named(Site(links=BACK), *everywhere)] == [2, 1, 0]


def test_where_no_links_tell_the_first_to_turn_is_named_first() -> None:
    ranked = named(Site(), "w.b.pressure", "w.a.pressure", apart_s=60.0)

    assert [one["place"] for one in ranked] == ["w.b", "w.a"]
    assert ranked[0]["since"] < ranked[1]["since"]
    assert abs(sum(one["share"] for one in ranked) - 1.0) < 0.01


def test_one_place_has_no_rival_and_persons_have_no_candidates() -> None:
    site = Site()
    for rule, channel in (("jump", "w.a.pressure"), ("fall", "band-7.fall"), ("sos", "band-7.sos")):
        site.set(rule, channel, ALARM, -1)

    assert all("candidates" not in change.extra for change in site.tick())
