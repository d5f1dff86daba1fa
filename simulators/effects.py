"""Effects: what an event does to quantities whose physics knows nothing of it, place by place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from config.channels import Channel
from simulators.network import Network
from simulators.noise import FloatArray
from simulators.rhythms import demand, warmth
from simulators.scenarios import Event
from simulators.sensors import is_outlet, nominal_of

Moved = Callable[[FloatArray, Event, FloatArray, Channel], FloatArray]
_VOLTAGES = ("voltage", "voltage_min", "voltage_max")
_LOADS = ("current", "active_power", "transformer_load")
_SUMP_S, _SUMP_LOW_MM = 5400.0, 20.0  # a sump fills in this time, and its pump stops at this depth
_PEAK = {"gas": 1.9}  # demand of the busiest hour against the mean


@dataclass(frozen=True, slots=True)
class Effect:
    """True value of a channel of one of these quantities, moved.

    reach: place, below, above, zone, medium; or through, for what flows: above a place, of the flow only the
    share that goes on to it.
    """

    quantities: tuple[str, ...]
    reach: str
    moved: Moved


def _gone(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    window_s = channel.period_s if channel.quantity == "voltage_min" else 0.0
    return np.where(event.during(time_s, window_s), 0.0, value)


def _shifted(by: float, tau_s: float) -> Moved:
    """The event's size times `by` comes on top, with this time constant."""

    def moved(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
        return value + by * event.size * event.rise(time_s, tau_s)

    return moved


def _added(much: float, tau_s: float) -> Moved:
    def moved(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
        return value + much * event.rise(time_s, tau_s)

    return moved


def _scaled(by: float, tau_s: float) -> Moved:
    """`by` times the event's size of the value comes on top (or goes), with this time constant."""

    def moved(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
        return value * (1.0 + max(by * event.size, -1.0) * event.rise(time_s, tau_s))

    return moved


def _towards_size(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    return np.asarray(value + (event.size - value) * event.rise(time_s, 7200.0))


def _growing(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    return value + event.size * event.grown(time_s)


def _multiplying(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    return value * (1.0 + event.size * event.grown(time_s))


def _outlet(moved: Moved) -> Moved:
    """Only behind a regulator."""

    def only(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
        return moved(value, event, time_s, channel) if is_outlet(channel) else value

    return only


def _main(moved: Moved) -> Moved:
    """Only before a regulator."""

    def only(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
        return value if is_outlet(channel) else moved(value, event, time_s, channel)

    return only


def _drooping(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    """A clogging filter: the more flows, the more is lost; nothing to speak of at night."""
    load = (demand("gas", time_s) / _PEAK["gas"]) ** 2
    return value * (1.0 - event.size * load * event.grown(time_s))


def _starved(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    """An outlet that its main no longer feeds as it should."""
    return value * (1.0 - 0.8 * event.size * event.rise(time_s, 600.0))


def _sewer(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    """Warm afternoons drive it out of the sewer; it comes and goes with the days, slowly."""
    return value + event.size * (0.6 + 0.4 * warmth(time_s)) * event.rise(time_s, 3 * 3600.0)


def _test_gas(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    """Held under the sensor until it has reported twice."""
    held = (time_s >= event.start_s) & (time_s < event.start_s + max(2 * channel.period_s, 60.0))
    return np.where(held, event.size, value)


def _pumped(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
    """A sump that fills and is emptied in five minutes, again and again."""
    part = ((time_s - event.start_s) % _SUMP_S) / _SUMP_S
    filled = np.where(part < 0.94, part / 0.94, (1.0 - part) / 0.06)
    depth = _SUMP_LOW_MM + (event.size - _SUMP_LOW_MM) * filled
    return np.where(event.during(time_s), depth, value)


def _of_nominal(by: float) -> Moved:
    def moved(value: FloatArray, event: Event, time_s: FloatArray, channel: Channel) -> FloatArray:
        volts = by * event.size * nominal_of(channel)
        return value + volts * event.rise(time_s, 5.0)

    return moved


EFFECTS: Mapping[str, tuple[Effect, ...]] = {
    "burst": (Effect(("leak_noise",), "place", _added(20.0, 5.0)),),
    "slow_leak": (Effect(("leak_noise",), "place", _added(12.0, 3600.0)),),
    "pump_trip": (
        Effect(("pump_state",), "place", _gone),
        Effect(("pressure",), "zone", _scaled(-1.0, 60.0)),
        Effect(("flow",), "zone", _scaled(-1.0, 60.0)),
    ),
    "contamination": (
        Effect(("turbidity",), "below", _shifted(1.0, 600.0)),
        Effect(("chlorine",), "below", _scaled(-0.4, 600.0)),
        Effect(("conductivity",), "below", _shifted(20.0, 600.0)),
    ),
    "freeze": (Effect(("temperature",), "place", _towards_size),),
    "low_pressure": (Effect(("pressure",), "below", _scaled(-1.0, 120.0)),),
    "tank_overflow": (Effect(("level",), "place", _growing),),
    "regulator_overpressure": (Effect(("pressure",), "place", _outlet(_growing)),),
    "regulator_underpressure": (Effect(("pressure",), "place", _outlet(_drooping)),),
    "valve_misclosure": (
        Effect(("pressure",), "below", _main(_scaled(-1.0, 180.0))),
        Effect(("pressure",), "below", _outlet(_starved)),
        Effect(("flow",), "through", _scaled(-1.3, 120.0)),
    ),
    "well_gas": (Effect(("ch4",), "place", _shifted(1.0, 1800.0)),),
    "sewer_methane": (Effect(("ch4",), "place", _sewer),),
    "bump_test": (Effect(("ch4",), "place", _test_gas),),
    "undervoltage": (Effect(_VOLTAGES, "below", _of_nominal(-1.0)),),
    "overvoltage": (Effect(_VOLTAGES, "below", _of_nominal(1.0)),),
    "overload": (Effect(("transformer_load",), "above", _scaled(1.0, 300.0)),),
    "ev_evening": (Effect(("transformer_load",), "above", _scaled(1.0, 300.0)),),
    "feeder_outage": (Effect((*_VOLTAGES, *_LOADS), "below", _gone),),
    "transformer_outage": (Effect((*_VOLTAGES, *_LOADS), "zone", _gone),),
    "earth_fault": (Effect(("leakage_current",), "place", _shifted(1.0, 900.0)),),
    "partial_discharge": (Effect(("partial_discharge",), "place", _multiplying),),
    "trench_flood": (Effect(("trench_water",), "place", _growing),),
    "pumped_sump": (Effect(("trench_water",), "place", _pumped),),
    "frequency_deviation": (Effect(("frequency",), "medium", _shifted(-1.0, 20.0)),),
    "heat_wave": (Effect(("transformer_load",), "zone", _scaled(1.0, 3 * 3600.0)),),
}


class Effects:
    """The effects of a site's events on its channels.

    networks: one a medium, so that what lies below or beside a place is known.
    """

    def __init__(self, networks: Mapping[str, Network]) -> None:
        self._networks = networks
        self._reached: dict[tuple[str, str, str], frozenset[str]] = {}

    def on(
        self, channel: Channel, value: FloatArray, events: tuple[Event, ...], time_s: FloatArray
    ) -> FloatArray:
        """True value of a channel (times,) with the effects of these events."""
        for event in events:
            for effect in EFFECTS.get(event.kind, ()):
                if channel.quantity in effect.quantities and channel.place in self._reach(
                    effect.reach, event.place, channel.medium
                ):
                    moved = effect.moved(value, event, time_s, channel)
                    if effect.reach == "through":
                        moved = value + self._share(event.place, channel) * (moved - value)
                    value = moved
        return value

    def _share(self, place: str, channel: Channel) -> float:
        """How much of what flows through a channel's place goes on to `place`, as if all drew alike."""
        network = self._networks[channel.medium]
        return min(1.0, len(network.below(place)) / len(network.below(channel.place)))

    def _reach(self, reach: str, place: str, medium: str) -> frozenset[str]:
        """Places of a medium that an event at a place reaches."""
        key = (reach, place, medium)
        if key not in self._reached:
            network = self._networks[medium]
            if place not in network:
                reached: frozenset[str] = frozenset()
            elif reach == "medium":
                reached = frozenset(network.order)
            elif reach == "place":
                reached = frozenset((place,))
            elif reach == "through":
                reached = frozenset((*network.above(place), *network.below(place)))
            else:
                reached = frozenset(getattr(network, reach)(place))
            self._reached[key] = reached
        return self._reached[key]
