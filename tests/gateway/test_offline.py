"""Without its centre a gateway calls its own people; when the centre is back, both know all, and once."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.alert import rfc3339
from alerts.centre.accounts import add_token
from alerts.orders import CONFIRMED
from config.channels import Channel
from tests.alerts.centre.world import Centre, centre
from tests.alerts.notifiers import Posts, contacts, posts
from tests.gateway.test_daemon import SITE, Site, a_site
from tests.living import until
from tests.parts import free_port

HOUR_NS = 3600 * 10**9


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Centre]:
    (tmp_path / "centre").mkdir()
    with centre(tmp_path / "centre", gateways=(SITE,), users={"zhao": "administrator"}) as there:
        yield there


@pytest.fixture
def phones() -> Iterator[Posts]:
    with posts() as there:
        yield there


def settings(site: Site, city: Centre, phones: Posts, port: int) -> str:
    host = phones.url.removeprefix("http://")
    people = contacts(site.folder, wang=f"json://{host}/wang", li=f"json://{host}/li")
    return (
        f'[centre]\nurl = "{city.url}"\nsecret = {{ file = "{city.folder / SITE}.key" }}\nheartbeat_s = 0.5\n'
        f'[[notifier]]\nkind = "apprise"\nname = "own people"\ninstead_of = "centre"\n'
        f'after = {{ P1 = "1s", P2 = "2s" }}\ncontacts = "{people}"\n'
        f"[metrics]\nport = {port}\n"
    )


def ask(city: Centre, path: str, token: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    answer = city.request(method, path, data, {"authorization": f"Bearer {token}"})
    assert answer.status == 200, answer.text
    return answer.json


def live(port: int) -> Callable[[], dict[str, Any]]:
    def look() -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=60) as answer:
                return dict(json.loads(answer.read())["live"])
        except urllib.error.URLError:
            return {}  # not yet

    return look


def test_cut_off_it_calls_whose_turn_it_is_and_reconciles_without_duplicates(
    tmp_path: Path, city: Centre, phones: Posts
) -> None:
    port, token = free_port(), add_token(city.folder / "state" / "casebook.db", "zhao")
    now_ns = time.time_ns()
    shift = {"person": "li", "from": rfc3339(now_ns - HOUR_NS), "until": rfc3339(now_ns + 24 * HOUR_NS)}
    with a_site(tmp_path) as site:
        far = Channel("probe-9.ch4", "gas", "probe.9", "ch4", "%{LEL}", 1.0, zone="far")
        site.write(settings(site, city, phones, port), extra=(far,))
        site.gateway.start()
        status = live(port)
        until(lambda: (status().get("proof_of_life_age_s") or 1e9) < 300.0)
        ask(city, f"/api/v1/gateways/{SITE}/roster", token, {"duties": [shift]})
        until(lambda: [e for e in site.gateway.told() if e["type"] == CONFIRMED])
        assert city.server is not None

        city.server.kill()
        site.alarm(0)
        until(lambda: phones.got)
        assert [path for path, _, _ in phones.got] == ["/li"], "it is li's turn, and nobody else is called"
        site.gateway.kill()
        site.gateway.start()
        site.alarm(9)
        until(lambda: len(phones.got) >= 2)
        city.server.start()

        def incidents() -> list[dict[str, Any]]:
            return list(ask(city, "/api/v1/incidents", token)["incidents"])

        until(lambda: {"probe.0", "probe.9"} <= {one["place"] for one in incidents()})
        found = [one for one in incidents() if one["place"].startswith("probe.")]
        assert len(found) == 2, "each incident is there once"
        for one in found:
            whole = f"/api/v1/incidents/{one['incident']}"
            until(lambda whole=whole: "called" in str(ask(city, whole, token)["timeline"]))
            calls = [line for line in ask(city, whole, token)["timeline"] if line["what"] == "called"]
            assert [(call["who"], call["called"]) for call in calls] == [("own people", ["li"])]
            assert not one["acknowledged"], "a call is no acknowledgement"
        assert len(phones.got) == 2
        site.gateway.stop()
