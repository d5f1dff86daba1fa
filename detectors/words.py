"""Words: the one plain sentence that says what an event detector saw; about a wearer it holds no number."""

from typing import Any

from config.channels import Channel
from config.defaults import Level
from detectors.base import Explanation
from ingest.readings import QUALITY_NAMES

LATE_S = 900.0  # from here on the sentence says when it was measured

_NAMES = {"ch4": "methane", "co": "carbon monoxide", "o2": "oxygen", "ph": "pH", "thd": "harmonic distortion"}
_WEARER = {
    "sos": "The SOS key of the band was pressed",
    "tachycardia": "The heart beats too fast although the wearer rests",
    "bradycardia": "The heart beats too slowly although the wearer rests",
    "hypoxia": "The oxygen saturation stays too low",
    "fever": "The body is too warm",
    "fall": "A hard impact, and after it the wearer does not move",
    "sensor_fault:battery_death": "The battery of the band is nearly empty",
}
_WEARER_QUANTITY = {"spo2": "oxygen saturation", "hrv_rmssd": "variability of the heart beat"}


def level_words(
    channel: Channel, level: Level, limit: float, value: float, quality: int, late_s: float
) -> Explanation:
    """A level was reached by `value`, measured `late_s` before it was judged."""
    direction = 1 if level.is_high else -1
    if channel.medium == "wristband":
        return Explanation(wearer_words(level.kind, channel.quantity, direction, late_s), direction)
    unit = "" if channel.unit == "1" else f" {channel.unit}"
    side = "at or above" if level.is_high else "at or below"
    sentence = (
        f"{_name(channel.quantity)} at {channel.place} is {value:g}{unit}, "
        f"{side} its {level.name} level of {limit:g}{unit}"
    )
    observed: dict[str, Any] = {
        "value": value,
        "unit": channel.unit,
        "limit": limit,
        "op": ">=" if level.is_high else "<=",
        "quality": QUALITY_NAMES[quality],
    }
    return Explanation(_dated(sentence, late_s), direction, observed, {"value": value, "limit": limit})


def late_words(channel: Channel, value: float, late_s: float) -> Explanation:
    """A late reading would have reached a level, had it come in time."""
    if channel.medium == "wristband":
        return Explanation("A reading that came late was beyond its usual limits; it is not judged as now")
    unit = "" if channel.unit == "1" else f" {channel.unit}"
    sentence = f"{_name(channel.quantity)} at {channel.place} was {value:g}{unit}, beyond one of its levels"
    observed = {"value": value, "unit": channel.unit}
    return Explanation(_dated(sentence, late_s), 0, observed, {"value": value})


def wearer_words(kind: str, quantity: str, direction: int, late_s: float) -> str:
    """About a wearer: what is believed, no number."""
    name = _WEARER_QUANTITY.get(quantity, quantity.replace("_", " "))
    sentence = _WEARER.get(kind, f"The {name} is too {'high' if direction > 0 else 'low'}")
    return f"{sentence}; the reading came late" if late_s >= LATE_S else sentence


def _name(quantity: str) -> str:
    name = _NAMES.get(quantity, quantity.replace("_", " "))
    return name[0].upper() + name[1:] if name != "pH" else name


def _dated(sentence: str, late_s: float) -> str:
    return (
        f"{sentence}; measured {late_s / 60:.0f} min before it was received" if late_s >= LATE_S else sentence
    )
