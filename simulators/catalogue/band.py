"""Wristband scenarios: five residents by the minute, and clips of the pulse where they matter."""

from collections.abc import Callable, Sequence

from config.channels import Channel, ChannelTable, Planned
from simulators.instruments import channel, position
from simulators.play import Entry, Parameter, Request, Site
from simulators.scenarios import SECOND_NS, Event

HOUR_S = 3600.0
Staged = tuple[Site, Sequence[Event], Sequence[Planned]]
WEARERS = ("band.a07", "band.b12", "band.c31", "band.d05", "band.e44")
_MINUTELY = ("heart_rate", "steps", "acceleration_peak", "fall", "sos", "on_wrist", "spo2")
_FIVE_MINUTELY = ("skin_temperature", "hrv_rmssd", "latitude", "longitude")
MOST_AFTER_S = 20.0  # a button is pressed within this time of a fall


def site() -> Site:
    """Bands that report heart, saturation and movement each minute, the rest every five minutes."""
    channels: list[Channel] = []
    for number, wearer in enumerate(WEARERS):
        home = position(300.0 * (number - 2), 200.0 * (number % 2))
        for quantity in (*_MINUTELY, *_FIVE_MINUTELY, "battery"):
            period_s = 60.0 if quantity in _MINUTELY else 0.0
            channels.append(
                channel(wearer, quantity, medium="wristband", zone="block1", at=home,
                        period_s=300.0 if quantity in _FIVE_MINUTELY else period_s)
            )  # fmt: skip
    return Site(ChannelTable(channels), ())


def _one(kind: str, size_of: Callable[[Request], float]) -> Callable[[Request], Staged]:
    """A scenario in which one thing befalls one wearer."""

    def stage(request: Request) -> Staged:
        seconds = request.number("minutes") * 60.0
        event = request.event(kind, request.text("wearer"), request.text("start"), seconds, size_of(request))
        return site(), [event], []

    return stage


def _given(name: str) -> Callable[[Request], float]:
    return lambda request: request.number(name)


def _nothing(request: Request) -> float:
    return 0.0


def _irregular(request: Request) -> float:
    from simulators.clips import irregularity

    return irregularity(request.seed, 92.0)


def _fall(with_sos: bool) -> Callable[[Request], Staged]:
    def stage(request: Request) -> Staged:
        fell = request.event(
            "fall", request.text("wearer"), request.text("start"), request.number("minutes") * 60.0,
            request.number("peak"),
        )  # fmt: skip
        pressed_ns = fell.start_ns + round(MOST_AFTER_S * SECOND_NS)
        pressed = Event("sos", fell.place, pressed_ns, fell.end_ns, 0.0)
        return site(), [fell, pressed] if with_sos else [fell], []

    return stage


_WEARER = Parameter("band.c31", "whose band", choices=WEARERS)


def _minutes(default: float, least: float, most: float) -> Parameter:
    return Parameter(default, "how long, min", (least, most), (1.0, 1440.0), whole=True)


def _at(clock: str, hours: float) -> Parameter:
    return Parameter(clock, "time of day", hours=hours)


def _entry(
    name: str, title: str, expected: str, stage: Callable[[Request], Staged], shown: tuple[str, ...],
    engine: str = "minute model", /, **parameters: Parameter,
) -> Entry:  # fmt: skip
    channels = tuple(f"band.c31.{quantity}" for quantity in shown)
    known = {"wearer": _WEARER, **parameters}
    return Entry(f"band/{name}", title, engine, expected, known, stage, 4.0, channels)


_FALL = {
    "peak": Parameter(4.5, "acceleration of the impact, g", (3.6, 5.5), (3.1, 16.0)),
    "minutes": _minutes(25, 15, 40),
    "start": _at("09:40", 6.0),
}
ENTRIES = (
    _entry(
        "slow_brady", "A heart slows down over hours, asleep", "bradycardia",
        _one("bradycardia", _given("rate")), ("heart_rate", "steps"),
        rate=Parameter(38.0, "heart rate reached, /min", (33.0, 38.0), (25.0, 60.0)),
        minutes=_minutes(240, 200, 300), start=_at("00:40", 0.6),
    ),
    _entry(
        "af_paroxysm", "An attack of atrial fibrillation", "atrial_fibrillation",
        _one("atrial_fibrillation", _irregular), ("hrv_rmssd", "heart_rate"),
        "minute model with neurokit2 clips",
        minutes=_minutes(20, 20, 40), start=_at("15:10", 4.0),
    ),
    _entry(
        "apnoea_night", "Breath stops thirty times in a night", "hypoxia, grouped to one a night",
        _one("apnoea", _given("spo2")), ("spo2", "heart_rate"),
        spo2=Parameter(86.0, "saturation in a dip, %", (83.0, 87.0), (60.0, 95.0)),
        minutes=_minutes(420, 360, 420), start=_at("23:20", 0.3),
    ),
    _entry(
        "fall_no_sos", "A fall, and nobody calls", "fall, critical", _fall(False),
        ("acceleration_peak", "steps", "heart_rate", "fall"), **_FALL,
    ),
    _entry(
        "fall_with_sos", "A fall, and the button is pressed", "fall, critical: one alert for both",
        _fall(True),
        ("acceleration_peak", "steps", "sos", "fall"), **_FALL,
    ),
    _entry(
        "wandering", "Someone leaves home at night", "wandering", _one("wandering", _given("metres")),
        ("steps", "latitude", "longitude"),
        metres=Parameter(1200.0, "farthest from home, m", (700.0, 1500.0), (10.0, 20000.0)),
        minutes=_minutes(150, 90, 180), start=_at("23:30", 0.4),
    ),
    _entry(
        "gym", "An hour at the gym", "no alert", _one("gym", _given("rate")), ("heart_rate", "steps"),
        rate=Parameter(142.0, "heart rate reached, /min", (128.0, 150.0), (60.0, 220.0)),
        minutes=_minutes(60, 40, 80), start=_at("16:00", 5.0),
    ),
    _entry(
        "sauna", "A sauna", "no alert", _one("sauna", _given("warmer")), ("skin_temperature", "heart_rate"),
        warmer=Parameter(3.0, "skin warmer than usual, K", (2.5, 4.0), (0.1, 8.0)),
        minutes=_minutes(20, 15, 25), start=_at("17:30", 3.0),
    ),
    _entry(
        "taken_off", "The band lies in a drawer", "no alert", _one("taken_off", _nothing),
        ("on_wrist", "heart_rate"), minutes=_minutes(240, 60, 300), start=_at("13:00", 4.0),
    ),
    _entry(
        "applause", "Applause", "no alert", _one("applause", _given("peak")), ("acceleration_peak", "steps"),
        peak=Parameter(3.6, "acceleration of the hands, g", (3.2, 4.2), (1.0, 16.0)),
        minutes=_minutes(4, 2, 6), start=_at("15:30", 4.0),
    ),
)  # fmt: skip
