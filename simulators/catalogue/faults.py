"""Fault scenarios: sensors and devices that lie, on the demo's district with two battery loggers more."""

from collections.abc import Callable, Sequence

from config.channels import ChannelTable, Link, Planned
from simulators.district import demo_district
from simulators.instruments import channel
from simulators.play import Entry, Parameter, Request, Site
from simulators.scenarios import Event

HOUR_S = 3600.0
Staged = tuple[Site, Sequence[Event], Sequence[Planned]]
PSI_A_KPA = 1 / 6.894757293168
LOGGERS = {"gas.north.logger": "gas.north.well", "gas.centre.logger": "gas.centre.well"}
_MODBUS_FLOATS = (
    "water.centre.market.pressure", "water.north.school.pressure", "water.south.riverside.pressure",
    "power.centre.market.voltage_a", "power.south.riverside.current_a",
)  # fmt: skip
_KPA = (
    "water.centre.hospital.pressure", "water.north.school.pressure", "water.centre.market.pressure",
    "gas.north.well.pressure",
)  # fmt: skip
_MOVING = ("water.centre.market.flow", "power.centre.market.current_a", "water.south.riverside.pressure")


def site() -> Site:
    """The demo's district, a reading a minute; the loggers report every ten minutes by radio."""
    district = demo_district(60.0)
    channels, links = list(district.channels.channels), list(district.links)
    for logger, well in LOGGERS.items():
        zone = well.split(".")[1]
        channels += [
            channel(logger, quantity, medium="gas", zone=zone, period_s=600.0, via="mqtt")
            for quantity in ("ch4", "temperature", "battery")
        ]
        links.append(Link(well, logger, "pipe"))
    return Site(ChannelTable(channels), tuple(links))


def _of_sensor(kind: str, size: float) -> Callable[[Request], Staged]:
    """A fault of one sensor."""

    def stage(request: Request) -> Staged:
        sensor, here = request.text("sensor"), site()
        place = here.channels[here.channels.number[sensor]].place
        event = request.event(
            f"sensor_fault:{kind}",
            place,
            request.text("start"),
            request.number("hours") * HOUR_S,
            size,
            sensor,
        )
        return here, [event], []

    return stage


def _of_device(kind: str, size: float) -> Callable[[Request], Staged]:
    """A fault of a device that sends messages."""

    def stage(request: Request) -> Staged:
        seconds = request.number("hours") * HOUR_S
        event = request.event(
            f"sensor_fault:{kind}", request.text("device"), request.text("start"), seconds, size
        )
        return site(), [event], []

    return stage


def _entry(
    name: str, title: str, stage: Callable[[Request], Staged], shown: tuple[str, ...], hours: float,
    /, **parameters: Parameter,
) -> Entry:  # fmt: skip
    common = {
        "start": Parameter("08:00", "time of day", hours=5.0),
        "hours": Parameter(hours, "how long, h", (0.8 * hours, 1.2 * hours), (0.25, 240.0)),
    }
    return Entry(
        f"faults/{name}", title, "trees of pipes and cables", "sensor_fault notice only; no city alert",
        parameters | common, stage, 4.0, shown,
    )  # fmt: skip


def _sensor(choices: tuple[str, ...]) -> Parameter:
    return Parameter(choices[0], "which sensor", choices=choices)


def _device(*choices: str) -> Parameter:
    return Parameter(choices[0], "which device", choices=choices)


_BANDS = ("band.a07", "band.b12", "band.c31", "band.d05")
ENTRIES = (
    _entry("modbus_word_swap", "A meter's float arrives with its words swapped",
           _of_sensor("byte_order", 0.0),
           ("water.centre.market.pressure",), 4.0, sensor=_sensor(_MODBUS_FLOATS)),
    _entry("psi_as_kpa", "A gauge in psi is read as kPa", _of_sensor("wrong_unit", PSI_A_KPA),
           ("water.centre.hospital.pressure",), 10.0, sensor=_sensor(_KPA)),
    _entry("clock_utc_plus8", "A device writes local time and calls it UTC",
           _of_device("clock_skew", 8 * HOUR_S), ("band.b12.heart_rate",), 6.0,
           device=_device("band.b12", *LOGGERS, "band.a07", "band.c31")),
    _entry("backlog_6h", "Six hours of readings come in within seconds", _of_device("backlog", 0.0),
           ("band.b12.heart_rate",), 6.0, device=_device("band.b12", "band.a07", "band.d05")),
    _entry("flatline", "A sensor repeats its last value", _of_sensor("stuck", 0.0),
           ("water.centre.market.flow",), 10.0, sensor=_sensor(_MOVING)),
    _entry("nbiot_duplicates", "A radio logger sends half its messages twice", _of_device("duplicates", 0.5),
           ("gas.north.logger.ch4",), 12.0, device=_device(*LOGGERS)),
    _entry("slow_drift", "A sensor drifts away over two days", _of_sensor("drift", 25.0),
           ("water.south.riverside.pressure",), 48.0, sensor=_sensor(_MOVING[::-1])),
    _entry("spikes", "A loose contact: single readings are far off", _of_sensor("spike", 0.1),
           ("water.centre.market.flow",), 5.0, sensor=_sensor(_MOVING)),
    _entry("dead_device", "A device falls silent", _of_device("dropout", 0.0),
           ("gas.north.logger.ch4",), 8.0, device=_device(*LOGGERS, *_BANDS)),
    _entry("late_batches", "Readings come up to ten minutes late, out of order",
           _of_device("out_of_order", 600.0), ("band.a07.heart_rate",), 5.0, device=_device(*_BANDS)),
    _entry("battery_death", "A battery dies: noise, then silence", _of_device("battery_death", 15.0),
           ("gas.north.logger.temperature",), 12.0, device=_device(*LOGGERS)),
)  # fmt: skip
