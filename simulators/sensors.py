"""Sensors: how well each quantity is measured, and what a reading can be at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, isnan

from config.channels import Channel
from config.quantities import QUANTITIES, conversion

LOW_PRESSURE_KPA = 10.0  # gas below it is low pressure (GB 50028: 0.01 MPa)


@dataclass(frozen=True, slots=True)
class Sensor:
    """One standard deviation of a reading is `noise` + `share` of the value; canonical units."""

    noise: float
    share: float = 0.0
    least: float = -inf
    most: float = inf


# One standard deviation and range: simulation-facts.md §3 (typical values).
SENSORS: Mapping[str, Sensor] = {
    "pressure": Sensor(0.0, 0.004, least=-100.0),
    "flow": Sensor(0.02, 0.01, least=0.0),
    "temperature": Sensor(0.1),
    "ch4": Sensor(0.2, 0.01, least=0.0, most=100.0),
    "co": Sensor(0.3, least=0.0),
    "o2": Sensor(0.05, least=0.0, most=25.0),
    "level": Sensor(0.007, least=0.0),
    "chlorine": Sensor(0.012, least=0.0),
    "turbidity": Sensor(0.012, least=0.0),
    "ph": Sensor(0.01, least=0.0, most=14.0),
    "conductivity": Sensor(2.0, least=0.0),
    "leak_noise": Sensor(0.8, least=0.0),
    "voltage": Sensor(0.0, 0.001, least=0.0),
    "voltage_min": Sensor(0.0, 0.001, least=0.0),
    "voltage_max": Sensor(0.0, 0.001, least=0.0),
    "current": Sensor(0.05, 0.005, least=0.0),
    "active_power": Sensor(0.02, 0.005),
    "frequency": Sensor(0.002, least=0.0),
    "unbalance": Sensor(0.03, least=0.0),
    "thd": Sensor(0.05, least=0.0),
    "transformer_load": Sensor(0.3, least=0.0),
    "oil_temperature": Sensor(0.3),
    "joint_temperature": Sensor(0.2),
    "leakage_current": Sensor(0.4, least=0.0),
    "partial_discharge": Sensor(4.0, least=0.0),
    "trench_water": Sensor(1.0, least=0.0),
    "heart_rate": Sensor(1.2, least=25.0, most=240.0),
    "spo2": Sensor(0.6, least=50.0, most=99.0),
    "respiration": Sensor(0.6, least=4.0),
    "skin_temperature": Sensor(0.07),
    "hrv_rmssd": Sensor(0.0, 0.1, least=1.0),
    "body_temperature": Sensor(0.07),
    "systolic": Sensor(4.0, least=50.0),
    "acceleration_peak": Sensor(0.01, least=0.9),
    "latitude": Sensor(3e-5),
    "longitude": Sensor(3e-5),
}
EXACT = Sensor(0.0)  # states, counts and charges are told, not measured

# Chinese nominal values where a channel names none: GB/T 12325 (220 V), GB 50028 (gas), CJJ 58 (water).
_NOMINAL = {"voltage": 220.0, "voltage_min": 220.0, "voltage_max": 220.0, "frequency": 50.0}


def sensor_of(quantity: str) -> Sensor:
    """How a quantity is measured; a quantity that is told rather than measured is exact."""
    return SENSORS.get(quantity, EXACT)


def nominal_of(channel: Channel) -> float:
    """The level around which the channel lives, in its quantity's canonical unit; NaN where it has none."""
    if not isnan(channel.nominal):
        scale, offset = conversion(channel.unit, QUANTITIES[channel.quantity].unit)
        return channel.nominal * scale + offset
    if channel.quantity == "pressure":
        return 200.0 if channel.medium == "gas" else 300.0
    return _NOMINAL.get(channel.quantity, float("nan"))


def spread_of(channel: Channel, level: float = 50.0) -> float:
    """One standard deviation of a reading, canonical, at its nominal level, or at `level` where it has none.

    A third of a step where a quantity is told rather than measured.
    """
    sensor, usual = sensor_of(channel.quantity), nominal_of(channel)
    return sensor.noise + sensor.share * (usual if isfinite(usual) else level) or 0.3


def is_outlet(channel: Channel) -> bool:
    """Whether the channel is the low pressure behind a gas regulator."""
    return (
        channel.medium == "gas" and channel.quantity == "pressure" and nominal_of(channel) < LOW_PRESSURE_KPA
    )


def over_mqtt(channel: Channel) -> bool:
    """Whether the channel's device sends messages of its own accord: wristbands do, and battery loggers.

    A channel list says so in its column `via`.
    """
    return channel.medium == "wristband" or channel.attributes.get("via") == "mqtt"
