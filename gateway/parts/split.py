"""Split: which channels need each other to be judged, and how they are shared out among workers."""

from collections.abc import Iterable, Sequence

from config.channels import ChannelTable


def split(channels: ChannelTable, numbers: Iterable[int], parts: int) -> list[tuple[int, ...]]:
    """At most `parts` lists of channel numbers, ascending, with about equal readings a second.

    Channels of one place, of one zone and of one device stay together: their alarms are judged by each other,
    and their scores are put on one scale. A site of one zone is one part.
    """
    groups = _together(channels, numbers)
    load = {root: sum(1.0 / channels.period_s[n] for n in group) for root, group in groups.items()}
    shares: list[list[int]] = [[] for _ in range(max(1, min(parts, len(groups))))]
    weight = [0.0] * len(shares)
    for root in sorted(groups, key=lambda root: (-load[root], root)):
        lightest = min(range(len(shares)), key=lambda share: (weight[share], share))
        shares[lightest] += groups[root]
        weight[lightest] += load[root]
    return [tuple(sorted(share)) for share in shares if share]


def _together(channels: ChannelTable, numbers: Iterable[int]) -> dict[int, list[int]]:
    """Groups that share a place, a zone or a device, by their first channel."""
    wanted = sorted(numbers)
    leader = {number: number for number in wanted}

    def root(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    first: dict[tuple[str, str], int] = {}
    for number in wanted:
        for tie in _ties(channels, number):
            one, other = sorted((root(number), root(first.setdefault(tie, number))))
            leader[other] = one
    groups: dict[int, list[int]] = {}
    for number in wanted:
        groups.setdefault(root(number), []).append(number)
    return groups


def _ties(channels: ChannelTable, number: int) -> Sequence[tuple[str, str]]:
    id, zone = channels.ids[number], channels.zone[number]
    device = id.rpartition(".")[0] or id
    ties = [("place", channels.place[number]), ("device", device)]
    return [*ties, ("zone", zone)] if zone else ties
