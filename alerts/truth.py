"""Truth: what truly happened, as truth.json says it, put on the channels of a site."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from alerts.judging import CATEGORIES, Happening
from config.channels import ChannelTable, Link
from config.errors import InputError
from config.quantities import did_you_mean

NEEDED = ("class", "kind", "place", "start", "end")
Nanoseconds = Callable[[str], int]


def happenings_of(
    truth: Any, channels: ChannelTable, links: Sequence[Link], nanoseconds: Nanoseconds, name: str
) -> list[Happening]:
    """The events of a truth file; InputError names every bad one. With links, next places are near too."""
    events = truth.get("events") if isinstance(truth, Mapping) else truth
    if not isinstance(events, list):
        raise InputError(f'{name}: no list "events"; write {{"events": [{{"class", "kind", "place", …}}]}}')
    beside: dict[str, set[str]] = {}
    for link in links:
        beside.setdefault(link.source, set()).add(link.target)
        beside.setdefault(link.target, set()).add(link.source)
    happenings: list[Happening] = []
    mistakes: list[str] = []
    for number, event in enumerate(events):
        where = f"{name}: event {number}"
        wrong = list(_mistakes(event, channels, nanoseconds, where))
        mistakes += wrong
        if not wrong:
            happenings.append(_happening(event, channels, beside, nanoseconds))
    if mistakes:
        raise InputError(mistakes)
    return happenings


def _mistakes(event: Any, channels: ChannelTable, nanoseconds: Nanoseconds, where: str) -> Iterator[str]:
    missing = [key for key in NEEDED if key not in event] if isinstance(event, Mapping) else NEEDED
    if missing:
        yield f"{where}: {', '.join(missing)} is missing"
        return
    where = f"{where} ({event['kind']} at {event['place']})"
    if event["class"] not in CATEGORIES:
        yield f'{where}: class "{event["class"]}" is not known; write {", ".join(CATEGORIES)}'
    try:
        if nanoseconds(event["end"]) < nanoseconds(event["start"]):
            yield f"{where}: ends before it starts"
    except ValueError as error:
        yield f"{where}: {error}"
    for channel in event.get("channels", ()):
        if channel not in channels.number:
            hint = did_you_mean(str(channel), channels.ids)
            yield f'{where}: channel "{channel}" is not in the channel list; {hint}'
    known = set(channels.places) | set(channels.zones) | {"*"}
    if not event.get("channels") and event["place"] not in known:
        hint = did_you_mean(str(event["place"]), channels.places)
        yield f'{where}: place "{event["place"]}" is not in the channel list; {hint}'


def _happening(
    event: Mapping[str, Any],
    channels: ChannelTable,
    beside: Mapping[str, set[str]],
    nanoseconds: Nanoseconds,
) -> Happening:
    place = str(event["place"])
    numbers = [channels.number[id] for id in event.get("channels", ())]
    own = {place} | {channels.place[number] for number in numbers}
    if not numbers:  # a zone, or everywhere
        own |= {p for p, zone in zip(channels.place, channels.zone) if place in ("*", zone)}
    at = numbers or [number for number, p in enumerate(channels.place) if p in own]
    near = set(event.get("near_places", ())) | beside.get(place, set())
    return Happening(
        category=event["class"],
        kind=str(event["kind"]),
        medium=channels.medium[at[0]] if at else "",
        place=place,
        start_ns=nanoseconds(event["start"]),
        end_ns=nanoseconds(event["end"]),
        channels=frozenset(event.get("channels", ())),
        own_places=frozenset(own),
        places=frozenset(own | near),
        period_s=min((float(channels.period_s[number]) for number in at), default=float("nan")),
    )
