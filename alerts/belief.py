"""Belief: what is believed to have happened, from all that is strange in an incident, as a table to read.

A *sign* is a quantity and its direction, such as `pressure-` or `flow+`; with a word behind it, it also says
how: `pressure- suddenly` (a jump), `flow+ slowly` (a drift or a changed rhythm), `voltage- gone` (nearly
zero), `voltage- at a level` (a limit, and its delay, passed). What a regulator lets through is `outlet-`
beside `pressure-`, the gas main before it `main-`. The first pattern of the medium whose signs are all there
is believed, and its reason is told.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.grades import FAULT

SUDDEN = ("jump", "step", "shift")
LEVELS = (".low", ".low_low", ".high", ".high_high")
SLOW = ("drift", "rhythm", "night", "trend")
DECIDED = ("water.zone.",)
"""Rules that have looked at a whole zone: what most of them name is believed before any pattern."""
WEAK = frozenset({"", "limit", "unknown"})
"""Kinds that a detector gives when it knows only that something is out of order; evidence may say more."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One strange channel of an incident."""

    medium: str
    place: str
    quantity: str
    direction: int  # +1 high or rising, -1 low or falling, 0 neither
    rule: str
    kind: str  # what the detector itself says, "" = ask the evidence
    gone: bool = False  # the value is nearly zero where it should not be
    outlet: bool = False  # it lies behind a gas regulator
    channel: int = -1
    zone: str = ""

    def signs(self) -> set[str]:
        """`pressure-`, `pressure- suddenly` …"""
        how = [""]
        how += [" suddenly"] if self.rule.startswith(SUDDEN) else []
        how += [" slowly"] if self.rule.startswith(SLOW) else []
        how += [" at a level"] if self.rule.endswith(LEVELS) else []
        how += [" gone"] if self.gone else []
        way = {1: "+", -1: "-"}.get(self.direction, "")
        names = names_of(self.medium, self.quantity, self.outlet)
        return {f"{name}{way}{word}" for name in names for word in how}


@dataclass(frozen=True, slots=True)
class Pattern:
    """Signs that together mean a kind. medium "" = any; `places`: at so many at least.

    `absent`: a sign that something else would have brought by now: its quantity is measured in the zone of
    the others, two periods have passed, and it did not come.
    """

    medium: str
    kind: str
    signs: tuple[str, ...]
    reason: str
    places: int = 1
    share: float = 0.0  # of all channels of the first sign's quantity on the site
    on_site: str = ""  # a quantity that the site must have
    zone_share: float = 0.0  # as `share`, in one zone
    absent: str = ""


@dataclass(frozen=True, slots=True)
class Belief:
    """The kind, and the plain reason why (empty where the detector's own word is all there is)."""

    kind: str
    reason: str
    sure: bool = False  # several signs agree


PATTERNS: tuple[Pattern, ...] = (
    # water
    Pattern("water", "pump_trip", ("pump_state-",), "the pump stopped"),
    Pattern("water", "burst", ("pressure-", "flow+ suddenly"), "flow rose suddenly while pressure fell"),
    Pattern("water", "burst", ("pressure- suddenly", "flow+"), "pressure fell suddenly while flow rose"),
    Pattern("water", "pump_trip", ("pressure- suddenly", "flow-"), "pressure and flow fell together"),
    Pattern(
        "water", "pump_trip", ("pressure- suddenly",), "pressure fell all over the site", 3, 0.8, "pump_state"
    ),
    Pattern("water", "burst", ("pressure- suddenly",), "pressure fell suddenly"),
    Pattern("water", "burst", ("flow+ suddenly",), "flow rose suddenly"),
    Pattern("water", "burst", ("pressure-", "trench_water+"), "pressure fell and water appeared"),
    Pattern("water", "contamination", ("turbidity+",), "the water turned cloudy"),
    Pattern("water", "contamination", ("chlorine-",), "chlorine was used up"),
    Pattern("water", "contamination", ("chlorine+",), "too much chlorine"),
    Pattern("water", "contamination", ("conductivity+",), "foreign salts in the water"),
    Pattern("water", "contamination", ("ph+",), "the water turned alkaline"),
    Pattern("water", "contamination", ("ph-",), "the water turned acid"),
    Pattern("water", "tank_overflow", ("level+",), "the tank kept filling"),
    Pattern("water", "freeze", ("temperature-",), "the pipe grew cold"),
    Pattern("water", "slow_leak", ("flow+",), "more flow than usual for this hour"),
    Pattern("water", "slow_leak", ("leak_noise+",), "the noise of a leak"),
    Pattern("water", "slow_leak", ("pressure- slowly",), "pressure fell slowly"),
    Pattern("water", "low_pressure", ("pressure-",), "pressure is low"),
    Pattern("water", "low_pressure", ("level-",), "the tank runs empty"),
    # gas
    Pattern(
        "gas", "third_party_damage", ("pressure-", "flow+ suddenly"), "flow rose suddenly while pressure fell"
    ),
    Pattern(
        "gas", "third_party_damage", ("pressure- suddenly", "flow+"), "pressure fell suddenly while flow rose"
    ),
    Pattern(
        "gas", "third_party_damage", ("pressure- suddenly", "ch4+"), "pressure fell suddenly and gas escaped"
    ),
    Pattern("gas", "third_party_damage", ("flow+ suddenly", "ch4+"), "flow rose suddenly and gas escaped"),
    Pattern("gas", "valve_misclosure", ("valve_state-",), "a valve was closed"),
    Pattern(
        "gas", "valve_misclosure", ("pressure-", "flow- suddenly"), "flow stopped and pressure fell behind it"
    ),
    Pattern(
        "gas",
        "valve_misclosure",
        ("main- suddenly",),
        "pressure fell suddenly, and no more gas flowed than before",
        absent="flow+",
    ),
    Pattern(
        "gas", "third_party_damage", ("pressure- suddenly",), "pressure fell suddenly at several places", 2
    ),
    Pattern("gas", "slow_leak", ("ch4+", "flow+"), "gas gathered while flow rose"),
    Pattern("gas", "slow_leak", ("ch4+", "pressure-"), "gas gathered while pressure fell"),
    Pattern("gas", "slow_leak", ("ch4+ slowly",), "gas gathered slowly"),
    Pattern("", "well_gas", ("ch4+",), "gas gathered at one place"),
    Pattern("", "well_gas", ("co+",), "carbon monoxide gathered"),
    Pattern("", "well_gas", ("o2-",), "oxygen was displaced"),
    Pattern("gas", "regulator_overpressure", ("pressure+",), "pressure rose behind the regulator"),
    Pattern("gas", "third_party_damage", ("flow+ suddenly",), "flow rose suddenly"),
    Pattern(
        "gas",
        "regulator_underpressure",
        ("main-",),
        "pressure is low in the whole zone, so its station feeds too little",
        3,
        zone_share=0.8,
    ),
    Pattern("gas", "regulator_underpressure", ("outlet-",), "pressure fell behind the regulator"),
    Pattern("gas", "regulator_underpressure", ("pressure-",), "pressure fell here alone"),
    Pattern("gas", "slow_leak", ("flow+",), "more flow than usual for this hour"),
    Pattern("gas", "valve_misclosure", ("flow- suddenly",), "flow stopped"),
    # power
    Pattern(
        "power", "transformer_outage", ("voltage- gone", "transformer_load-"), "the transformer went dead"
    ),
    Pattern(
        "power",
        "transformer_outage",
        ("voltage- gone",),
        "all voltages of the zone are gone",
        3,
        zone_share=0.8,
    ),
    Pattern("power", "feeder_outage", ("voltage- gone",), "the voltage is gone"),
    Pattern("power", "feeder_outage", ("voltage_min- gone", "current-"), "voltage and current are gone"),
    Pattern("power", "interruption", ("voltage_min- gone",), "the voltage was gone for a moment"),
    Pattern("power", "joint_overheat", ("joint_temperature+",), "the joint is hotter than its load explains"),
    Pattern("power", "trench_flood", ("trench_water+",), "water stands in the trench"),
    Pattern("power", "earth_fault", ("leakage_current+",), "current leaks to earth"),
    Pattern("power", "partial_discharge", ("partial_discharge+",), "the insulation discharges"),
    Pattern("power", "frequency_deviation", ("frequency+",), "the frequency is high"),
    Pattern("power", "frequency_deviation", ("frequency-",), "the frequency is low"),
    Pattern("power", "undervoltage", ("voltage- at a level",), "the voltage stays low"),
    Pattern("power", "voltage_sag", ("voltage_min-",), "the voltage dipped for a moment"),
    Pattern("power", "overvoltage", ("voltage+",), "the voltage is high"),
    Pattern("power", "overvoltage", ("voltage_max+",), "the voltage rose for a moment"),
    Pattern("power", "overload", ("transformer_load+",), "more load than usual"),
    Pattern("power", "overload", ("oil_temperature+",), "the transformer is hot"),
    Pattern("power", "overload", ("current+",), "more current than usual"),
    Pattern("power", "overload", ("active_power+",), "more power than usual"),
    Pattern("power", "undervoltage", ("voltage-",), "the voltage is low"),
    Pattern("power", "feeder_outage", ("current- gone",), "the current is gone"),
    # wristband
    Pattern("wristband", "sos", ("sos+",), ""),
    Pattern("wristband", "fall", ("fall+",), ""),
    Pattern("wristband", "hypoxia", ("spo2-",), ""),
    Pattern("wristband", "atrial_fibrillation", ("hrv_rmssd+",), ""),
    Pattern("wristband", "tachycardia", ("heart_rate+",), ""),
    Pattern("wristband", "bradycardia", ("heart_rate-",), ""),
    Pattern("wristband", "fever", ("body_temperature+",), ""),
    Pattern("wristband", "fever", ("skin_temperature+",), ""),
    Pattern("wristband", "no_activity", ("steps-",), ""),
    Pattern("wristband", "wandering", ("latitude+",), ""),
    Pattern("wristband", "wandering", ("latitude-",), ""),
    Pattern("wristband", "wandering", ("longitude+",), ""),
    Pattern("wristband", "wandering", ("longitude-",), ""),
)

_RANK = {kind: rank for rank, kind in enumerate(dict.fromkeys(pattern.kind for pattern in PATTERNS))}
Bearing = dict[tuple[str, str], list[Clue]]
"""The clues that bear a sign, by medium ("" = any) and sign."""

Zones = Mapping[tuple[str, str, str], tuple[int, float]]
"""By medium, name in signs, and zone: how many channels, and the slowest period among them, s."""

REFINED: Mapping[str, tuple[str, ...]] = {
    "low_pressure": ("burst", "pump_trip"),
    "regulator_underpressure": ("third_party_damage", "valve_misclosure"),
    "undervoltage": ("feeder_outage", "transformer_outage"),
    "voltage_sag": ("undervoltage", "feeder_outage", "transformer_outage"),
    "interruption": ("feeder_outage", "transformer_outage"),
    "feeder_outage": ("transformer_outage",),
    "well_gas": ("slow_leak", "third_party_damage"),
    "slow_leak": ("burst", "third_party_damage", "pump_trip"),
}
"""Kinds that a detector may name by itself, and what further evidence may make of them."""


def names_of(medium: str, quantity: str, outlet: bool) -> tuple[str, ...]:
    """What a quantity is called in signs."""
    if (medium, quantity) != ("gas", "pressure"):
        return (quantity,)
    return (quantity, "outlet" if outlet else "main")


def believe(
    clues: Sequence[Clue],
    totals: Mapping[tuple[str, str], int],
    zones: Zones | None = None,
    age_s: float = 0.0,
) -> Belief:
    """The kind that fits the clues best. totals: the site's number of channels by (medium, quantity); zones:
    how many and how slow they are in each zone; age_s: since the first of the clues.

    What a detector names by itself (a fall, a joint too hot) stands, unless the evidence refines it; of
    several such names the first listed in the patterns counts, a person's gravest first. A rule that has
    looked at the whole zone is believed before all of that.
    """
    bearing: Bearing = {}
    for clue in clues:
        if not clue.kind.startswith(FAULT):
            for sign in clue.signs():
                bearing.setdefault((clue.medium, sign), []).append(clue)
                bearing.setdefault(("", sign), []).append(clue)
    decided = Counter(clue.kind for clue in clues if clue.rule.startswith(DECIDED))
    if decided:
        kind = min(decided, key=lambda kind: (-decided[kind], _RANK.get(kind, len(_RANK))))
        return Belief(kind, "pressures and flows of the zone together say so", sure=True)
    scene = (totals, zones or {}, age_s)
    pattern = next((pattern for pattern in PATTERNS if _fits(pattern, bearing, *scene)), None)
    named = list(dict.fromkeys(clue.kind for clue in clues if clue.kind not in WEAK))
    if pattern is not None and (not named or pattern.kind in REFINED.get(_gravest(named), ())):
        return Belief(pattern.kind, pattern.reason, sure=len(pattern.signs) > 1 or pattern.places > 1)
    if named:
        return Belief(_gravest(named), "")
    weak = [clue.kind for clue in clues if clue.kind]
    return Belief(weak[0] if weak else "unknown", "")


def _gravest(named: Sequence[str]) -> str:
    """Patterns stand in the order in which they are believed."""
    return min(named, key=lambda kind: (_RANK.get(kind, len(_RANK)), kind))


def _fits(
    pattern: Pattern, bearing: Bearing, totals: Mapping[tuple[str, str], int], zones: Zones, age_s: float
) -> bool:
    for sign in pattern.signs:
        if (pattern.medium, sign) not in bearing:
            return False
    first = bearing[pattern.medium, pattern.signs[0]]
    if pattern.on_site and not totals.get((pattern.medium, pattern.on_site)):
        return False
    if pattern.places > 1 and len({clue.place for clue in first}) < pattern.places:
        return False
    if pattern.absent and not _stayed_away(pattern, first, bearing, zones, age_s):
        return False
    if pattern.zone_share and not _in_a_whole_zone(pattern, first, zones):
        return False
    total = totals.get((first[0].medium, first[0].quantity), 0)
    return len(_channels(first)) >= pattern.share * total


def _stayed_away(
    pattern: Pattern, first: Sequence[Clue], bearing: Bearing, zones: Zones, age_s: float
) -> bool:
    """Whether what the sign would have come from is measured there, has spoken twice since, and did not."""
    name = pattern.absent.rstrip("+-")
    periods = [zones[key][1] for clue in first if (key := (pattern.medium, name, clue.zone)) in zones]
    if not periods or age_s < 2.0 * max(periods):
        return False
    return (pattern.medium, pattern.absent) not in bearing


def _in_a_whole_zone(pattern: Pattern, first: Sequence[Clue], zones: Zones) -> bool:
    """Whether the sign is borne by nearly all channels of its quantity in one zone, at places enough."""
    name = pattern.signs[0].partition(" ")[0].rstrip("+-")
    for zone in {clue.zone for clue in first}:
        here = [clue for clue in first if clue.zone == zone]
        there, _ = zones.get((here[0].medium, name, zone), (0, 0.0))
        most = there and len(_channels(here)) >= pattern.zone_share * there
        if most and len({clue.place for clue in here}) >= pattern.places:
            return True
    return False


def _channels(clues: Sequence[Clue]) -> set[tuple[str, str, int]]:
    """Several rules on one channel count once."""
    return {(clue.place, clue.quantity, clue.channel) for clue in clues}
