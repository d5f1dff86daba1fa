"""Boards: the points of every detector of a site, and which of them turn in a tick."""

from collections.abc import Iterator, Sequence

from alerts.board import NEVER_NS, Board, Turned
from config.channels import ChannelTable
from detectors.findings import Findings, Points

Risen = tuple[Board, Turned]
"""A point that turned, with its board."""


class Boards:
    """One board a detector. A point's key is its rule and channel; where two agree they are numbered.

    Points that never speak are named apart, so that what a channel's points are called follows from what
    watches that channel, and not from its neighbours.
    """

    def __init__(self, points: Sequence[Points], channels: ChannelTable) -> None:
        self.all = [Board(one, keys) for one, keys in zip(points, _keys(points, channels))]
        self._of = {id(board.points): board for board in self.all}

    def __iter__(self) -> Iterator[Board]:
        return iter(self.all)

    def hear(self, findings: Sequence[Findings], now_ns: int) -> list[Risen]:
        """The points that turn with these verdicts."""
        turned: list[Risen] = []
        for verdict in findings:
            board = self._of[id(verdict.points)]
            turned += [(board, one) for one in board.judge(verdict, now_ns)]
        return turned

    def due(self, now_ns: int) -> list[Risen]:
        """The points whose delay has passed by now, once all verdicts of the tick have been heard."""
        return [(board, one) for board in self.all if board.rising for one in board.due(now_ns)]

    def next_deadline_ns(self) -> int:
        """When a delay passes; NEVER where none runs."""
        return min((board.next_deadline_ns() for board in self.all if board.rising), default=NEVER_NS)

    def by_key(self) -> dict[str, tuple[Board, int]]:
        """Where each point is."""
        return {key: (board, point) for board in self.all for point, key in enumerate(board.keys)}


def _keys(points: Sequence[Points], channels: ChannelTable) -> Iterator[tuple[str, ...]]:
    seen: dict[str, int] = {}
    for one in points:
        keys = []
        speaks = [True] * len(one) if one.speaks is None else one.speaks.tolist()
        for rule, channel, live in zip(one.rule, one.channel.tolist(), speaks):
            key = f"{rule} {channels.ids[channel]}" if live else f"- {rule} {channels.ids[channel]}"
            count = seen[key] = seen.get(key, 0) + 1
            keys.append(key if count == 1 else f"{key} {count}")
        yield tuple(keys)
