"""Network: the places of one medium as a tree, fed from its roots in the direction of the links."""

from collections.abc import Mapping, Sequence

from config.channels import ChannelTable, Link
from simulators.noise import FloatArray


class Network:
    """Places of one medium. `order` lists them so that a place comes after the one that feeds it.

    A place keeps the first link that feeds it; a link that would close a ring is left out, and a place
    that nothing feeds is a root.
    """

    def __init__(self, channels: ChannelTable, links: Sequence[Link], medium: str) -> None:
        here = dict.fromkeys(place for place, of in zip(channels.place, channels.medium) if of == medium)
        self.feeder: dict[str, str] = {}
        for link in links:
            if link.kind == "feeds":  # keeps another network going, but the medium does not flow over it
                continue
            joins = link.source in here and link.target in here and link.target not in self.feeder
            if joins and link.target not in self.above(link.source):
                self.feeder[link.target] = link.source
        depth = {place: len(self.above(place)) for place in here}
        self.order: tuple[str, ...] = tuple(sorted(here, key=lambda place: depth[place]))
        self._root = {place: self.above(place)[-1] for place in here}
        self._below: dict[str, list[str]] = {}
        for target, source in self.feeder.items():
            self._below.setdefault(source, []).append(target)

    def above(self, place: str) -> list[str]:
        """The place itself and those that feed it, up to the root."""
        path = [place]
        while path[-1] in self.feeder:
            path.append(self.feeder[path[-1]])
        return path

    def below(self, place: str) -> list[str]:
        """The place itself and all that it feeds."""
        reached = [place]
        for each in reached:
            reached += self._below.get(each, ())
        return reached

    def zone(self, place: str) -> list[str]:
        """All places that are fed from the same root."""
        return self.below(self.root(place))

    def __contains__(self, place: str) -> bool:
        return place in self._root

    def root(self, place: str) -> str:
        """Where the medium of this place comes from."""
        return self._root[place]

    def neighbours(self, place: str) -> tuple[str, ...]:
        """Places one link away, either way."""
        return (*([self.feeder[place]] if place in self.feeder else []), *self._below.get(place, ()))

    def through(self, drawn: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """What passes each place: all that is drawn there and below. Summed in one order: same bits."""
        passing = dict(drawn)
        for place in reversed(self.order):
            if place in self.feeder:
                passing[self.feeder[place]] = passing[self.feeder[place]] + passing[place]
        return passing

    def lost(self, losses: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
        """What is lost from the root down to each place, given the loss on the last stretch before each."""
        total: dict[str, FloatArray] = {}
        for place in self.order:
            total[place] = (
                losses[place] + total[self.feeder[place]] if place in self.feeder else losses[place]
            )
        return total
