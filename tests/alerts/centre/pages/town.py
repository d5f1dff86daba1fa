"""Town: a centre with a directory that looks like one: names, rotas, key sites, rounds, a partner."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from alerts.centre.people.areas import set_area
from alerts.signing import new_secret
from tests.alerts.centre.people.district import bring, credit_code, settle
from tests.alerts.centre.world import Centre, centre

SHANGHAI = ZoneInfo("Asia/Shanghai")
COMMUNITY = "510108003002"
GRID = f"{COMMUNITY}-01"
ASIDE = "510108004001"  # another community
EVIL = "<img src=x onerror=alert(1)>"
NAMES = {"desk-0": "陈静", "desk-1": "李伟", "desk-2": "王芳", "desk-3": "赵敏", "chief": "周建国"}
OWN = {"org": COMMUNITY, "role": "grid_2", "verified": "yes"}
STAFF = {"wang": "staff", "zhao": "administrator", "lane": "staff"}  # lane is kept to COMMUNITY


def _wall(moment: datetime) -> str:
    return f"{moment.astimezone(SHANGHAI):%H:%M}"


def rounds(now: datetime) -> list[dict[str, Any]]:
    """One that is due now, one later today; of two sites."""
    today = f"{(now - timedelta(days=2)).astimezone(SHANGHAI):%Y-%m-%d}"
    common = {"site": "site-1", "rota": "hub", "first": today}
    return [
        {**common, "round": "now", "start": _wall(now - timedelta(minutes=30)), "within_min": 90},
        {**common, "round": "later", "start": _wall(now + timedelta(hours=3)), "within_min": 60},
        {**common, "round": "lane", "rota": COMMUNITY, "start": _wall(now - timedelta(hours=2))}
        | {"within_min": 240},
    ]


def fill(directory: Path, now: datetime) -> None:
    """Everything but organisations and most people, which `settle` brings."""
    people = [
        {"person": id, "name": name, "org": "hub", "role": "chief" if id == "chief" else "duty"}
        | {"contacts": f"phone:+86 28 8433 010{n}; sms:+861380000010{n}; wecom:{id}"}
        for n, (id, name) in enumerate(NAMES.items())
    ]
    own = [
        {**OWN, "person": "g-1", "name": "刘洋", "contacts": "sms:+8613800000201", "skills": "first_aid"},
        {
            **OWN,
            "person": "g-2",
            "name": f"孙丽 {EVIL}",
            "contacts": "email:sun.li@example.org",
            "skills": "",
        },
    ]
    first = {"first": "2026-01-01"}
    turns = [
        {"shift": "c-day", "rota": COMMUNITY, "person": "g-1", "start": "08:00", "end": "20:00", **first},
        {"shift": "c-night", "rota": COMMUNITY, "person": "g-2", "start": "20:00", "end": "06:00", **first},
    ]
    at = {"grid": GRID, "lat": 30.66, "lon": 104.12}
    lists: dict[str, list[dict[str, Any]]] = {
        "people": [*people, *own],
        "shifts": turns,
        "assets": [{"asset": "gas.block3", "medium": "gas", "owner": credit_code(0), **at}],
        "cameras": [{"camera": "cam-1", "name": "三号楼北门", "link": "https://video.example/cam/1", **at}],
        "sites": [{"site": "site-1", "name": f"东门加油站 {EVIL}", "class": "fuel_station", **at}],
        "rounds": rounds(now),
    }
    for name, rows in lists.items():
        report = bring(directory, name, rows)
        assert not report.bad, report.bad[:3]


@contextlib.contextmanager
def town(folder: Path) -> Iterator[Centre]:
    """It runs for the time of a `with`; `STAFF` may log in."""
    directory = settle(folder / "people.sqlite", 200)
    fill(directory, datetime.now(UTC))
    (folder / "partner.key").write_text(new_secret())
    (folder / "partner.key").chmod(0o600)
    extra = (
        '[people]\ndirectory = "people.sqlite"\ndesk = "hub"\nlast = "chief"\n'
        '[[notifier]]\nkind = "partner"\nname = "gas"\norganisation = "gas-company"\n'
        'url = "http://127.0.0.1:9/"\nprivate_network = true\nsecret = { file = "partner.key" }\n'
    )
    with centre(folder, users=STAFF, extra=extra) as there:
        set_area(folder / "state" / "casebook.db", "lane", COMMUNITY)
        yield there
