"""Who is called first, and who next: by grade and kind, by the district's own rules."""

import pytest

from alerts.centre.calling.ladder import Matter, ladder_of
from config.grades import GRADES, read_grades
from config.routing import read_routing

ROUTING = read_routing()


def matter(medium: str, kind: str, grade: str = "") -> Matter:
    grading = read_grades().of(medium, kind)
    return Matter(grade or grading.grade, medium, kind, grading.tier, grading.owner, "some.place")


def steps(medium: str, kind: str, grade: str = "") -> list[tuple[float, tuple[str, ...]]]:
    return [(step.after_s, step.to) for step in ladder_of(matter(medium, kind, grade), ROUTING)]


def test_p1_goes_to_desk_owner_and_street_at_once_then_after_two_and_five_minutes_further() -> None:
    assert steps("gas", "third_party_damage") == [
        (0.0, ("desk", "owner", "sub_district")),
        (120.0, ("community", "backups")),
        (300.0, ("chief", "backups")),
        (600.0, ("last", "backups")),
    ]


def test_a_fault_of_a_thing_goes_to_its_owner_first_then_to_the_territory() -> None:
    order = [name for _, to in steps("water", "slow_leak") for name in to if name != "backups"]

    assert order == ["owner", "sub_district", "desk", "chief", "last"]


def test_an_incident_goes_to_the_territory_first_then_to_the_owner() -> None:
    order = [name for _, to in steps("gas", "third_party_damage", "P3") for name in to if name != "backups"]

    assert order == ["sub_district", "owner", "desk", "chief", "last"]


def test_a_fall_stays_in_the_community_and_climbs_from_there() -> None:
    order = [name for _, to in steps("wristband", "fall", "P3") for name in to if name != "backups"]

    assert order == ["community", "sub_district", "desk", "chief", "last"]


def test_a_sensor_at_fault_goes_to_maintenance() -> None:
    assert steps("gas", "sensor_fault:stuck", "P3")[0] == (0.0, ("owner",))


def test_a_police_matter_goes_to_110_with_a_copy_to_the_hub() -> None:
    police = Matter("P2", "", "police_matter", "district", "", "510108014", police=True)

    assert ladder_of(police, ROUTING)[0].to == ("desk", "police")


@pytest.mark.parametrize("grade", GRADES)
@pytest.mark.parametrize("owner", ["gas_company", "community", ""])
@pytest.mark.parametrize("tier", ["community", "sub-district", "district", "moon"])
def test_every_ladder_rises_and_ends_with_the_last_receiver(grade: str, owner: str, tier: str) -> None:
    ladder = ladder_of(Matter(grade, "gas", "slow_leak", tier, owner, "x"), ROUTING)

    times = [step.after_s for step in ladder]
    assert times == sorted(set(times))
    assert times[0] == 0
    assert "last" in ladder[-1].to
    assert sum("last" in step.to for step in ladder) == 1
    called = [name for step in ladder for name in step.to if name != "backups"]
    assert len(called) == len(set(called)), "each is new on its step"
    assert "desk" in called


def test_volunteers_never_go_where_gas_power_or_police_come_in() -> None:
    volunteers = ROUTING.volunteers

    assert volunteers.may_go("wristband", "no_activity", police=False)
    assert not volunteers.may_go("wristband", "no_activity", police=True)
    for medium in ("gas", "power"):
        for kind in (*volunteers.volunteer_ok, "burst", "unknown"):
            assert not volunteers.may_go(medium, kind, police=False)
    assert not volunteers.may_go("water", "burst", police=False), "only what is tagged for them"
