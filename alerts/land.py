"""Land: what a site measures in each of its zones, so that what stays away can be evidence, too."""

from alerts.belief import Zones, names_of
from config.channels import ChannelTable
from config.defaults import defaults_for


def zones_of(channels: ChannelTable) -> Zones:
    """How many channels measure a thing in a zone, and the slowest period among them."""
    found: dict[tuple[str, str, str], tuple[int, float]] = {}
    for channel in channels.channels:
        for name in names_of(channel.medium, channel.quantity, defaults_for(channel).regulated):
            key = (channel.medium, name, channel.zone)
            count, slowest_s = found.get(key, (0, 0.0))
            found[key] = (count + 1, max(slowest_s, channel.period_s))
    return found
