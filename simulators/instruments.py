"""Instruments: channels as they are usually fitted: unit, resolution, period, and where they stand."""

from collections.abc import Iterable, Mapping
from math import cos, nan, radians
from typing import Any

from config.channels import Channel, Link
from config.quantities import QUANTITIES

# Smallest step and usual seconds between readings: simulation-facts §3.
RESOLUTIONS: Mapping[str, float] = {
    "pressure": 0.1, "flow": 0.01, "ch4": 0.1, "temperature": 0.1, "level": 0.001, "chlorine": 0.01,
    "turbidity": 0.01, "conductivity": 1.0, "leak_noise": 0.5, "pump_state": 1.0, "valve_state": 1.0,
    "voltage": 0.1, "voltage_min": 0.1, "current": 0.1, "active_power": 0.01, "frequency": 0.001,
    "transformer_load": 0.1, "joint_temperature": 0.1, "leakage_current": 0.1, "partial_discharge": 1.0,
    "trench_water": 1.0, "heart_rate": 1.0, "spo2": 1.0, "skin_temperature": 0.1, "hrv_rmssd": 1.0,
    "steps": 1.0, "acceleration_peak": 0.01, "fall": 1.0, "sos": 1.0, "on_wrist": 1.0, "battery": 1.0,
    "latitude": 1e-5, "longitude": 1e-5,
}  # fmt: skip
OUTLET_RESOLUTION_KPA = 0.01
PERIODS_S: Mapping[str, float] = {"water": 300.0, "gas": 60.0, "power": 60.0, "wristband": 60.0}
SLOW_S: Mapping[str, float] = {
    "ch4": 600.0, "leak_noise": 1800.0, "chlorine": 300.0, "turbidity": 300.0, "partial_discharge": 600.0,
    "trench_water": 600.0, "leakage_current": 300.0, "joint_temperature": 300.0, "temperature": 900.0,
    "spo2": 300.0, "skin_temperature": 300.0, "hrv_rmssd": 300.0, "battery": 1800.0,
}  # fmt: skip
NOMINALS: Mapping[str, float] = {"voltage": 220.0, "voltage_min": 220.0, "frequency": 50.0}
CENTRE = (30.67, 104.10)  # WGS-84, where the simulated sites lie
METRES_A_DEGREE = 111_320.0

Position = tuple[float, float]


def channel(
    place: str,
    point: str,
    *,
    medium: str,
    quantity: str = "",
    zone: str = "",
    at: Position = (nan, nan),
    nominal: float = nan,
    period_s: float = 0.0,
    high: float = nan,
    via: str = "",
) -> Channel:
    """One channel `<place>.<point>` in its quantity's canonical unit; the point's name is its quantity."""
    quantity = quantity or point
    resolution = RESOLUTIONS.get(quantity, 0.0)
    if quantity == "pressure" and medium == "gas" and nominal < 10.0:
        resolution = OUTLET_RESOLUTION_KPA
    return Channel(
        f"{place}.{point}", medium, place, quantity, QUANTITIES[quantity].unit,
        period_s or SLOW_S.get(quantity) or PERIODS_S[medium],
        resolution, NOMINALS.get(quantity, nan) if nominal != nominal else nominal, zone, at[0], at[1],
        high=high, attributes={"via": via} if via else {},
    )  # fmt: skip


def position(east_m: float, north_m: float) -> Position:
    """Latitude and longitude of a point of a plan, in metres from its middle."""
    lat = CENTRE[0] + north_m / METRES_A_DEGREE
    return round(lat, 6), round(CENTRE[1] + east_m / METRES_A_DEGREE / cos(radians(CENTRE[0])), 6)


def positions(plan: Mapping[str, tuple[float, float]], size_m: float = 3000.0) -> dict[str, Position]:
    """A plan in any unit laid over a site some kilometres wide."""
    east, north = [point[0] for point in plan.values()], [point[1] for point in plan.values()]
    scale = size_m / (max(max(east) - min(east), max(north) - min(north)) or 1.0)
    middle = (max(east) + min(east)) / 2, (max(north) + min(north)) / 2
    return {
        name: position(scale * (point[0] - middle[0]), scale * (point[1] - middle[1]))
        for name, point in plan.items()
    }


def tree(graph: Any, root: Any, stands_at: Mapping[Any, str], kind: str) -> tuple[Link, ...]:
    """Links from each place to those that it feeds, along the shortest ways of a network from its source.

    graph: a networkx graph of the network's elements; stands_at: element -> place, for those with sensors.
    """
    import networkx

    paths = networkx.single_source_dijkstra_path(graph, root)
    links = []
    for element, place in stands_at.items():
        above = [stands_at[each] for each in reversed(paths.get(element, [])) if each in stands_at]
        feeder = next((each for each in above if each != place), None)
        if feeder is not None:
            links.append(Link(feeder, place, kind))
    return tuple(dict.fromkeys(links))


def by_place(channels: Iterable[Channel]) -> dict[str, list[Channel]]:
    """Channels of each place, in their order."""
    places: dict[str, list[Channel]] = {}
    for each in channels:
        places.setdefault(each.place, []).append(each)
    return places
