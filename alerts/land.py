"""Land: what a site measures in each of its zones, so that what stays away can be evidence, too."""

from alerts.belief import Zones, names_of
from config.channels import Channel, ChannelTable
from config.defaults import defaults_for


def zones_of(channels: ChannelTable) -> Zones:
    """How many channels measure a thing in a zone, and the slowest period among them."""
    found: dict[tuple[str, str, str], tuple[int, float]] = {}
    for channel in channels.channels:
        for name in names_of(channel.medium, channel.quantity, behind_regulator(channel)):
            key = (channel.medium, name, channel.zone)
            count, slowest_s = found.get(key, (0, 0.0))
            found[key] = (count + 1, max(slowest_s, channel.period_s))
    return found


def behind_regulator(channel: Channel) -> bool:
    """Whether it measures what a gas regulator lets through: the defaults of its nominal value know it."""
    if channel.medium != "gas" or channel.quantity != "pressure":
        return False
    return any(level.kind == "regulator_underpressure" for level in defaults_for(channel).levels)
