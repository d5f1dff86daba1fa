"""Quantities and units: what can be measured, in which UCUM unit, and how one unit becomes another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from config.errors import SettingsError

MOST_LISTED = 400  # characters of known names in a message


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that a channel can measure. `unit` is the canonical one, in which defaults are written."""

    name: str
    unit: str
    media: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Unit:
    """value in the dimension's base unit = value * scale + offset."""

    code: str
    dimension: str
    scale: float
    offset: float = 0.0


_PIPES = ("gas", "water")
_FIXED = ("gas", "water", "power")
_EVERY = (*_FIXED, "wristband")

QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        name: Quantity(name, unit, media, meaning)
        for name, unit, media, meaning in (
            ("pressure", "kPa", _PIPES, "pressure above that of the air"),
            ("flow", "m3/h", _PIPES, "volume flow (gas: at standard conditions)"),
            ("temperature", "Cel", _EVERY, "temperature of the medium or its surroundings"),
            ("ch4", "%{LEL}", _FIXED, "methane, of the lower explosive limit"),
            ("co", "[ppm]", _FIXED, "carbon monoxide, by volume"),
            ("o2", "%", _FIXED, "oxygen, by volume"),
            ("valve_state", "1", _PIPES, "0 closed, 1 open, between: partly open"),
            ("level", "m", _PIPES, "level of a tank or well above its floor"),
            ("chlorine", "mg/L", ("water",), "free chlorine"),
            ("turbidity", "{NTU}", ("water",), "turbidity"),
            ("ph", "[pH]", ("water",), "acidity"),
            ("conductivity", "uS/cm", ("water",), "electrical conductivity"),
            ("leak_noise", "dB", _PIPES, "noise level of a leak logger"),
            ("spectral_kurtosis", "1", _FIXED, "how far sounds are from steady noise: 0 hiss, large: knocks"),
            ("pressure_swing", "kPa", _PIPES, "largest minus smallest pressure of a recording"),
            ("pump_state", "1", ("water", "power"), "0 stopped, 1 running"),
            ("voltage", "V", ("power",), "mean voltage of the interval"),
            (
                "voltage_min",
                "V",
                ("power",),
                "lowest voltage of the interval: the only place where a sag shows",
            ),
            ("voltage_max", "V", ("power",), "highest voltage of the interval"),
            ("current", "A", ("power",), "current"),
            ("active_power", "kW", ("power",), "active power"),
            ("frequency", "Hz", ("power",), "frequency"),
            ("unbalance", "%", ("power",), "negative over positive sequence voltage"),
            ("thd", "%", ("power",), "total harmonic distortion of the voltage"),
            ("transformer_load", "%", ("power",), "load of a transformer, of its rating"),
            ("oil_temperature", "Cel", ("power",), "top oil temperature of a transformer"),
            ("joint_temperature", "Cel", ("power",), "surface temperature of a cable joint"),
            ("leakage_current", "mA", ("power",), "residual current to earth"),
            ("partial_discharge", "pC", ("power",), "apparent charge of partial discharges"),
            ("trench_water", "mm", ("power",), "water in a cable trench"),
            ("heart_rate", "/min", ("wristband",), "heart rate"),
            ("spo2", "%", ("wristband",), "oxygen saturation of the blood"),
            ("respiration", "/min", ("wristband",), "breaths"),
            ("skin_temperature", "Cel", ("wristband",), "temperature of the skin; not that of the body"),
            ("hrv_rmssd", "ms", ("wristband",), "variability of the heart beat (RMSSD)"),
            ("steps", "{steps}/min", ("wristband",), "steps"),
            ("acceleration_peak", "[g]", ("wristband",), "largest acceleration of the interval"),
            ("fall", "1", ("wristband",), "1 where the band believes that its wearer fell"),
            ("sos", "1", ("wristband",), "1 while the SOS key is pressed"),
            ("on_wrist", "1", ("wristband",), "1 worn, 0 taken off"),
            ("battery", "%", _EVERY, "charge of the device's battery"),
            ("latitude", "deg", ("wristband",), "WGS-84 latitude"),
            ("longitude", "deg", ("wristband",), "WGS-84 longitude"),
            ("body_temperature", "Cel", ("wristband",), "temperature of the body, where validated"),
            ("systolic", "mm[Hg]", ("wristband",), "systolic blood pressure"),
        )
    }
)

_TABLE: Mapping[str, Mapping[str, float | tuple[float, float]]] = {
    "pressure": {
        "Pa": 1.0,
        "hPa": 1e2,
        "kPa": 1e3,
        "MPa": 1e6,
        "mbar": 1e2,
        "bar": 1e5,
        "m[H2O]": 9806.65,
        "cm[H2O]": 98.0665,
        "mm[H2O]": 9.80665,
        "mm[Hg]": 133.322387415,
        "[psi]": 6894.757293168,
        "atm": 101325.0,
    },
    "volume flow": {
        "m3/s": 1.0,
        "m3/min": 1 / 60,
        "m3/h": 1 / 3600,
        "m3/d": 1 / 86400,
        "L/s": 1e-3,
        "L/min": 1e-3 / 60,
        "L/h": 1e-3 / 3600,
    },
    "temperature": {"K": 1.0, "Cel": (1.0, 273.15), "[degF]": (5 / 9, 459.67 * 5 / 9)},
    "voltage": {"V": 1.0, "mV": 1e-3, "kV": 1e3},
    "current": {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "kA": 1e3},
    "power": {"W": 1.0, "kW": 1e3, "MW": 1e6},
    "apparent power": {"V.A": 1.0, "kV.A": 1e3, "MV.A": 1e6},
    "energy": {"J": 1.0, "kJ": 1e3, "MJ": 1e6, "W.h": 3600.0, "kW.h": 3.6e6, "MW.h": 3.6e9},
    "rate": {"Hz": 1.0, "mHz": 1e-3, "kHz": 1e3, "/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600},
    "step rate": {"{steps}/s": 1.0, "{steps}/min": 1 / 60, "{steps}/h": 1 / 3600},
    "ratio": {"1": 1.0, "%": 1e-2, "[ppth]": 1e-3, "[ppm]": 1e-6, "[ppb]": 1e-9, "[pH]": 1.0},
    "explosive limit": {"%{LEL}": 1.0},
    "turbidity": {"{NTU}": 1.0, "{FNU}": 1.0},
    "mass concentration": {"mg/L": 1.0, "mg/m3": 1e-3, "ug/L": 1e-3, "ug/m3": 1e-6, "g/L": 1e3, "g/m3": 1.0},
    "conductivity": {"S/m": 1.0, "mS/cm": 0.1, "uS/cm": 1e-4, "mS/m": 1e-3},
    "level of noise": {"dB": 1.0},
    "charge": {"C": 1.0, "nC": 1e-9, "pC": 1e-12},
    "acceleration": {"m/s2": 1.0, "[g]": 9.80665, "m[g]": 9.80665e-3},
    "length": {"m": 1.0, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "um": 1e-6},
    "velocity": {"m/s": 1.0, "mm/s": 1e-3, "km/h": 1 / 3.6},
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0, "d": 86400.0},
    "angle": {"deg": 1.0, "rad": 57.29577951308232},
    "volume": {"m3": 1.0, "L": 1e-3, "mL": 1e-6},
    "mass": {"kg": 1.0, "g": 1e-3, "t": 1e3},
    "resistance": {"Ohm": 1.0, "kOhm": 1e3, "MOhm": 1e6},
}

UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        code: Unit(code, dimension, *(factor if isinstance(factor, tuple) else (factor,)))
        for dimension, units in _TABLE.items()
        for code, factor in units.items()
    }
)

# What people write where UCUM has another word; only ever suggested, never taken.
_HABITS = {
    "c": "Cel",
    "°c": "Cel",
    "℃": "Cel",
    "degc": "Cel",
    "celsius": "Cel",
    "°f": "[degF]",
    "degf": "[degF]",
    "m³/h": "m3/h",
    "m^3/h": "m3/h",
    "nm3/h": "m3/h",
    "m3h": "m3/h",
    "cmh": "m3/h",
    "l/s": "L/s",
    "lps": "L/s",
    "bpm": "/min",
    "1/min": "/min",
    "rpm": "/min",
    "mmhg": "mm[Hg]",
    "mh2o": "m[H2O]",
    "mmh2o": "mm[H2O]",
    "psi": "[psi]",
    "ntu": "{NTU}",
    "%lel": "%{LEL}",
    "lel": "%{LEL}",
    "%vol": "%",
    "vol%": "%",
    "percent": "%",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "ph": "[pH]",
    "g": "[g]",
    "steps/min": "{steps}/min",
    "kwh": "kW.h",
    "kw·h": "kW.h",
    "kva": "kV.A",
    "°": "deg",
    "degree": "deg",
    "degrees": "deg",
    "µs/cm": "uS/cm",
    "μs/cm": "uS/cm",
    "db(a)": "dB",
    "volt": "V",
    "volts": "V",
    "ampere": "A",
    "bool": "1",
    "boolean": "1",
    "": "1",
    "-": "1",
}


def unit_named(code: str) -> Unit:
    """The unit of a UCUM code; SettingsError names the nearest known one."""
    if code in UNITS:
        return UNITS[code]
    habit = _HABITS.get(code.strip().lower())
    raise SettingsError(f'unknown unit "{code}"; {did_you_mean(code, UNITS, first=habit)}')


def quantity_named(name: str) -> Quantity:
    """The quantity of that name; SettingsError names the nearest known one."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    raise SettingsError(f'unknown quantity "{name}"; {did_you_mean(name, QUANTITIES)}')


def conversion(from_unit: str, to_unit: str) -> tuple[float, float]:
    """(scale, offset) such that `value * scale + offset` is the value in `to_unit`.

    SettingsError where a unit is unknown (naming the nearest) or where the two do not measure the same.
    """
    source, target = unit_named(from_unit), unit_named(to_unit)
    if source.dimension != target.dimension:
        raise SettingsError(
            f'"{from_unit}" ({source.dimension}) cannot be converted to "{to_unit}" ({target.dimension}); '
            f"units of {target.dimension}: {', '.join(_TABLE[target.dimension])}"
        )
    if source.code == target.code:
        return 1.0, 0.0
    return source.scale / target.scale, (source.offset - target.offset) / target.scale


def did_you_mean(name: str, known: Iterable[str], *, first: str | None = None) -> str:
    """What to write instead: `first` where given, else the nearest known name, else the list of them."""
    names = list(known)
    folded = {candidate.lower(): candidate for candidate in reversed(names)}
    nearest = first or folded.get(name.strip().lower())
    if nearest is None:
        from difflib import get_close_matches

        close = get_close_matches(name.strip().lower(), folded, n=1, cutoff=0.55)
        nearest = folded[close[0]] if close else None
    if nearest is not None:
        return f"did you mean {nearest}?"
    listed = ", ".join(names)
    if len(listed) > MOST_LISTED:
        listed = f"{listed[:MOST_LISTED].rpartition(', ')[0]}, … ({len(names)} in all)"
    return f"known: {listed}" if names else "none is known"
