"""A gateway that is not heard: an incident of its own, until it is back, across a restart of the centre."""

import json
import threading
import time
from pathlib import Path

from tests.alerts.centre.world import centre, until

PERIOD_S = 0.5  # silent after three of them


def test_silence_is_an_incident_that_lasts_across_a_restart_and_clears_on_return(tmp_path: Path) -> None:
    with centre(tmp_path, heartbeat_s=PERIOD_S, users={"wang": "staff"}) as there:
        gateway = there.gateway()
        gateway.tell(gateway.heartbeat())
        person = there.person("wang")
        assert "网关失联" not in person.see()

        until(lambda: "网关失联" in person.see())
        page = person.see()
        assert 'class="silent"' in page
        assert page.count("网关失联") == 1, "the other has never spoken: it is shown, but alarms nobody"
        assert 'class="never_heard"' in page
        key = page.split('href="/incidents/')[1].split('"')[0]
        assert there.server is not None
        there.server.stop()
        there.server.start()
        time.sleep(4 * PERIOD_S)
        assert person.see().count("网关失联") == 1

        gateway.tell(gateway.heartbeat())
        page = person.see(f"/incidents/{key}")
        assert "已恢复联系" in page
        assert "chip stage received" in page, "the case stays open: a signal that returns closes nothing"
        assert 'class="well"' in person.see()

        until(lambda: 'class="silent"' in person.see())  # once more: the same case, and it calls again
        assert person.see().count("网关失联") == 1
        assert person.act(key, "acknowledged").status == 303
        assert gateway.tell(gateway.heartbeat()) == [], "its gateway is told nothing about it"


def test_a_recorded_heartbeat_played_again_does_not_keep_a_dead_gateway_alive(tmp_path: Path) -> None:
    with centre(tmp_path, heartbeat_s=PERIOD_S, users={"wang": "staff"}) as there:
        gateway = there.gateway()
        body = json.dumps([gateway.heartbeat()]).encode()
        headers = gateway.headers(body)
        stop = threading.Event()

        def replay() -> None:
            while not stop.wait(0.2):
                assert there.request("POST", "/api/v1/changes", body, headers).status == 200

        player = threading.Thread(target=replay)
        player.start()
        person = there.person("wang")
        try:
            until(lambda: "网关失联" in person.see())
        finally:
            stop.set()
            player.join()


def test_learning_is_said_openly(tmp_path: Path) -> None:
    with centre(tmp_path, users={"wang": "staff"}) as there:
        gateway = there.gateway()
        gateway.tell(gateway.heartbeat(learning=True))
        person = there.person("wang")
        assert "正在学习：gw-1" in person.see()

        gateway.tell(gateway.heartbeat(learning=False))

        assert "正在学习" not in person.see()


def test_a_standstill_of_the_centre_itself_is_nobodys_silence(tmp_path: Path) -> None:
    with centre(tmp_path, heartbeat_s=1.0, users={"wang": "staff"}) as there:
        gateway = there.gateway()
        gateway.tell(gateway.heartbeat())
        person = there.person("wang")
        assert there.server is not None
        there.server.pause()
        time.sleep(3.6)
        there.server.resume()
        time.sleep(0.6)

        assert "网关失联" not in person.see()
