"""Kinds: what can happen in a simulated district: incidents, sensors at fault, and harmless things alike."""

from collections.abc import Mapping
from dataclasses import dataclass

from config.channels import ChannelTable
from simulators.sensors import is_outlet, over_mqtt

HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of event: its name, what it needs, and what it does unless told otherwise."""

    kind: str
    category: str  # incident, benign, sensor_fault, or device (how the device answers; not in the truth)
    severity: str
    seconds: tuple[float, float]  # shortest and longest duration that a seed may choose
    size: tuple[float, float]  # likewise
    size_means: str
    quantity: str = ""  # it needs a place that measures this …
    media: tuple[str, ...] = ()  # … in one of these media
    one_channel: bool = False  # it befalls one sensor rather than a place
    outlet: bool = False  # the pressure that it needs is that behind a gas regulator
    by_mqtt: bool = False  # only a device that stamps and keeps its own messages can do it
    planned: str = ""  # as what the city would announce it, where it can be announced
    told: str = ""  # the kind that the truth calls it by, where that is another

    def places(self, channels: ChannelTable) -> list[str]:
        """Where it can happen, in the order of the channel list."""
        fits = [
            channel.place
            for channel in channels.channels
            if (not self.media or channel.medium in self.media)
            and self.quantity in ("", channel.quantity)
            and not (channel.quantity == self.quantity == "pressure" and is_outlet(channel) != self.outlet)
            and (over_mqtt(channel) or not self.by_mqtt)
        ]
        return list(dict.fromkeys(fits))


def _incident(
    kind: str,
    medium: str | tuple[str, ...],
    quantity: str,
    severity: str,
    seconds: tuple[float, float],
    size: tuple[float, float],
    size_means: str,
    *,
    outlet: bool = False,
) -> Scenario:
    media = (medium,) if isinstance(medium, str) else medium
    return Scenario(kind, "incident", severity, seconds, size, size_means, quantity, media, outlet=outlet)


def _benign(
    kind: str,
    medium: str,
    quantity: str,
    seconds: tuple[float, float],
    size: tuple[float, float],
    size_means: str,
    planned: str = "",
) -> Scenario:
    return Scenario(kind, "benign", "none", seconds, size, size_means, quantity, (medium,), planned=planned)


def _fault(
    kind: str,
    seconds: tuple[float, float],
    size: tuple[float, float],
    size_means: str,
    media: tuple[str, ...] = (),
    *,
    one_channel: bool = False,
    by_mqtt: bool = False,
) -> Scenario:
    return Scenario(
        f"sensor_fault:{kind}", "sensor_fault", "notice", seconds, size, size_means, "", media,
        one_channel=one_channel, by_mqtt=by_mqtt,
    )  # fmt: skip


_MODBUS_MEDIA = ("gas", "water", "power")
_NO_SIZE = (0.0, 0.0)

WATER = (
    _incident("burst", "water", "pressure", "major", (HOUR, 4 * HOUR), (0.9, 1.4),
              "water lost, of the zone's mean inflow"),
    _incident("slow_leak", ("water", "gas"), "pressure", "major", (1.5 * DAY, 3 * DAY), (0.1, 0.3),
              "what is lost once it has grown, of the zone's mean inflow"),
    _incident("pump_trip", "water", "flow", "major", (HOUR, 3 * HOUR), (0.25, 0.4),
              "pressure lost in the zone, of what it was"),
    _incident("contamination", "water", "turbidity", "critical", (2 * HOUR, 4 * HOUR), (2, 5),
              "turbidity added, NTU"),
    _incident("freeze", "water", "temperature", "major", (6 * HOUR, 10 * HOUR), (0.2, 0.8),
              "temperature of the water, Cel"),
    _incident("low_pressure", "water", "pressure", "major", (HOUR, 4 * HOUR), (0.6, 0.75),
              "pressure lost there and below, of what it was"),
    _incident("tank_overflow", "water", "level", "major", (2 * HOUR, 5 * HOUR), (1.5, 2.0),
              "rise of the level until it is seen, m"),
    _benign("festival", "water", "pressure", (DAY, 2 * DAY), (0.15, 0.3),
            "further demand, of the usual", "festival"),
    _benign("hydrant_test", "water", "pressure", (900, 1500), (0.1, 0.25),
            "water drawn, of the zone's mean inflow", "hydrant_test"),
)  # fmt: skip
GAS = (
    _incident("third_party_damage", "gas", "ch4", "critical", (1800, 2 * HOUR), (60, 85),
              "methane in the nearest well once it has spread, %LEL"),
    _incident("regulator_overpressure", "gas", "pressure", "critical", (6 * HOUR, 30 * HOUR), (1.3, 2.5),
              "rise of the outlet until it is seen, kPa", outlet=True),
    _incident("regulator_underpressure", "gas", "pressure", "major", (4 * HOUR, 12 * HOUR), (0.5, 0.8),
              "droop of the outlet at the day's peak once grown, of the usual", outlet=True),
    _incident("valve_misclosure", "gas", "pressure", "major", (HOUR, 3 * HOUR), (0.5, 0.8),
              "pressure lost there and below, of what it was"),
    _incident("well_gas", "gas", "ch4", "critical", (4 * HOUR, 12 * HOUR), (35, 70),
              "methane in the well, %LEL"),
    _benign("frost", "gas", "pressure", (2 * DAY, 4 * DAY), (0.3, 0.45), "further demand, of the usual"),
    _benign("sewer_methane", "gas", "ch4", (2 * DAY, 4 * DAY), (6, 11),
            "methane in the warmest hour, %LEL"),
    _benign("bump_test", "gas", "ch4", (60, 60), (48, 52), "concentration of the test gas, %LEL",
            "bump_test"),
)  # fmt: skip
POWER = (
    _incident("undervoltage", "power", "voltage", "major", (HOUR, 4 * HOUR), (0.12, 0.18),
              "voltage lost there and below, of nominal"),
    _incident("overvoltage", "power", "voltage", "major", (HOUR, 4 * HOUR), (0.1, 0.16),
              "voltage gained there and below, of nominal"),
    _incident("voltage_sag", "power", "voltage_min", "major", (0.2, 0.8), (0.35, 0.65),
              "depth, of the voltage before"),
    _incident("overload", "power", "current", "major", (2 * HOUR, 5 * HOUR), (0.9, 1.6),
              "further load, of the usual"),
    _incident("feeder_outage", "power", "voltage", "major", (900, 2 * HOUR), _NO_SIZE,
              "not used: there and below is no voltage"),
    _incident("transformer_outage", "power", "voltage", "critical", (900, 2 * HOUR), _NO_SIZE,
              "not used: nothing behind the transformer has voltage"),
    _incident("joint_overheat", "power", "joint_temperature", "major", (6 * HOUR, 10 * HOUR), (5, 8),
              "growth of the joint's resistance, times what it was"),
    _incident("earth_fault", "power", "leakage_current", "critical", (2 * HOUR, 8 * HOUR), (120, 400),
              "leakage current added, mA"),
    _incident("partial_discharge", "power", "partial_discharge", "major", (DAY, 2 * DAY), (15, 30),
              "discharge once grown, times what it was"),
    _incident("trench_flood", "power", "trench_water", "major", (3 * HOUR, 8 * HOUR), (350, 600),
              "water in the trench, mm"),
    _incident("frequency_deviation", "power", "frequency", "major", (300, 1800), (0.3, 0.6),
              "frequency lost, Hz"),
    _benign("ev_evening", "power", "current", (3 * HOUR, 5 * HOUR), (0.2, 0.35),
            "further load, of the usual"),
    _benign("heat_wave", "power", "current", (2 * DAY, 3 * DAY), (0.2, 0.3), "further load, of the usual"),
    _benign("pumped_sump", "power", "trench_water", (DAY, 2 * DAY), (60, 75),
            "depth at which the sump pump starts, mm"),
)  # fmt: skip
BAND = (
    _incident("fall", "wristband", "acceleration_peak", "critical", (1200, 1800), (3.6, 5.0),
              "acceleration of the impact, g"),
    _incident("sos", "wristband", "sos", "critical", (300, 900), _NO_SIZE, "not used: the button is pressed"),
    _incident("tachycardia", "wristband", "heart_rate", "major", (1200, 2400), (142, 160),
              "heart rate at rest, /min"),
    _incident("bradycardia", "wristband", "heart_rate", "major", (2 * HOUR, 4 * HOUR), (32, 37),
              "heart rate reached, /min"),
    _incident("atrial_fibrillation", "wristband", "hrv_rmssd", "major", (1200, 2400), (2.5, 4),
              "variability of the beats, times the usual"),
    _incident("hypoxia", "wristband", "spo2", "major", (1800, 2 * HOUR), (83, 87), "saturation reached, %"),
    Scenario("apnoea", "incident", "major", (6 * HOUR, 8 * HOUR), (83, 87),
             "saturation in each of some thirty dips of the night, %", "spo2", ("wristband",),
             told="hypoxia"),
    _incident("fever", "wristband", "skin_temperature", "major", (8 * HOUR, 24 * HOUR), (1.6, 2.4),
              "warmer than usual, K"),
    _incident("no_activity", "wristband", "steps", "major", (8 * HOUR, 12 * HOUR), _NO_SIZE,
              "not used: the wearer lies still"),
    _incident("wandering", "wristband", "latitude", "major", (1.5 * HOUR, 3 * HOUR), (700, 1500),
              "farthest from home, m"),
    _benign("gym", "wristband", "heart_rate", (2400, 4800), (130, 150), "heart rate reached, /min"),
    _benign("sauna", "wristband", "skin_temperature", (900, 1500), (2.5, 4), "skin warmer than usual, K"),
    _benign("taken_off", "wristband", "on_wrist", (HOUR, 5 * HOUR), _NO_SIZE,
            "not used: the band lies there"),
    _benign("applause", "wristband", "acceleration_peak", (120, 300), (3.2, 4.2),
            "acceleration of the hands, g"),
)  # fmt: skip
FAULTS = (
    _fault("stuck", (6 * HOUR, 12 * HOUR), _NO_SIZE, "not used: the sensor repeats its last value",
           one_channel=True),
    _fault("drift", (DAY, 3 * DAY), (15, 30), "drift at the end, standard deviations of a reading",
           one_channel=True),
    _fault("spike", (2 * HOUR, 6 * HOUR), (0.05, 0.15), "share of readings that are far off",
           one_channel=True),
    _fault("wrong_unit", (6 * HOUR, 12 * HOUR), (0.1, 0.2), "factor on the value", one_channel=True),
    _fault("byte_order", (2 * HOUR, 6 * HOUR), _NO_SIZE,
           "not used: the two words of the float arrive swapped", _MODBUS_MEDIA, one_channel=True),
    _fault("battery_death", (6 * HOUR, 12 * HOUR), (10, 25),
           "noise of the last quarter of life, standard deviations; then silence"),
    _fault("dropout", (2 * HOUR, 6 * HOUR), _NO_SIZE, "not used: the whole device is silent"),
    _fault("clock_skew", (3 * HOUR, 8 * HOUR), (-3600, -900), "what the device's clock is ahead, s",
           by_mqtt=True),
    _fault("backlog", (HOUR, 6 * HOUR), _NO_SIZE,
           "not used: readings wait in the device until the end, then come at once", by_mqtt=True),
    _fault("duplicates", (HOUR, 6 * HOUR), (0.3, 0.6), "share of readings sent twice", by_mqtt=True),
    _fault("out_of_order", (HOUR, 6 * HOUR), (60, 600), "longest delay of a reading, s", by_mqtt=True),
)  # fmt: skip
DEVICES = (
    Scenario("device:slow", "device", "none", (60, 600), (1, 3),
             "time until a Modbus device answers, s", "", _MODBUS_MEDIA),
    Scenario("device:refuse", "device", "none", (60, 600), _NO_SIZE,
             "not used: a Modbus device answers with exceptions", "", _MODBUS_MEDIA),
)  # fmt: skip

SCENARIOS: Mapping[str, Scenario] = {
    scenario.kind: scenario for scenario in (*WATER, *GAS, *POWER, *BAND, *FAULTS, *DEVICES)
}
ALWAYS_MOVING = (  # quantities whose sensor would be missed if it stood still
    "pressure", "voltage", "current", "flow", "joint_temperature", "heart_rate",
)  # fmt: skip
