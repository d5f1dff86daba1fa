"""What gateways POST: believed only when signed, stored before it is confirmed, and never lost."""

import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from alerts.signing import verify
from tests.alerts.centre.world import Centre, centre, until


def event(members: bytes) -> bytes:
    """An alert whose data is written by hand."""
    return (
        b'[{"specversion": "1.0", "id": "a-1", "source": "urn:watchline:gw-1",'
        b' "type": "city.linkage.alert.raised.v1", "data": {' + members + b"}}]"
    )


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with centre(tmp_path_factory.mktemp("city"), users={"wang": "administrator"}) as there:
        yield there


def test_a_signed_change_is_stored_and_the_answer_is_signed_too(city: Centre) -> None:
    gateway = city.gateway()
    change = gateway.alarm("water.a").raised()

    answer = gateway.post([change], message_id="msg-7")

    assert answer.status == 200
    assert answer.json == {"stored": [change["id"]], "commands": []}
    assert answer.headers["webhook-id"] == "msg-7"
    verify(gateway.secret, answer.headers, answer.body, int(time.time()))


def test_many_gateways_report_at_once_and_each_sees_its_own(city: Centre) -> None:
    stories = {id: [city.gateway(id).alarm(f"gas.{id}.{n}") for n in range(20)] for id in ("gw-1", "gw-2")}

    def report(id: str) -> None:
        for story in stories[id]:
            city.gateway(id).tell(story.raised())

    threads = [threading.Thread(target=report, args=(id,)) for id in stories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    person = city.person("wang")
    for mine in stories.values():
        assert mine[-1].place in person.see(f"/incidents/{mine[-1].key}")


def test_a_repeat_is_confirmed_again_and_shown_once(city: Centre) -> None:
    gateway = city.gateway()
    story = gateway.alarm("water.repeated")
    change = story.raised(because="Told twice.")

    gateway.tell(change)
    gateway.tell(change, change)

    page = city.person("wang").see(f"/incidents/{story.key}")
    assert page.split('class="timeline"')[1].count("Told twice.") == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"secret": "whsec_" + "A" * 43 + "="}, "does not fit"),
        ({"now_s": 1_000_000_000}, "s old"),
        ({"now_s": 4_000_000_000}, "ahead"),
        ({"site": "gw-2"}, "does not fit"),
        ({"site": "gw-9"}, "knows no gateway"),
    ],
)
def test_a_forged_stale_or_unknown_post_is_refused_with_the_reason(
    city: Centre, wrong: dict[str, str], reason: str
) -> None:
    story = city.gateway().alarm("water.forged")

    answer = city.gateway().post([story.raised()], **wrong)  # type: ignore[arg-type]

    assert answer.status == 401
    assert reason in answer.json["error"]
    assert city.person("wang").request("GET", f"/incidents/{story.key}").status == 404


def test_a_body_changed_on_the_way_and_one_without_signature_are_refused_and_counted(city: Centre) -> None:
    gateway = city.gateway()
    body = json.dumps([gateway.alarm("water.changed").raised()]).encode()
    headers = gateway.headers(body)

    changed = city.request("POST", "/api/v1/changes", body.replace(b"P2", b"P4"), headers)
    unsigned = city.request("POST", "/api/v1/changes", body, {"watchline-gateway": gateway.id})

    assert (changed.status, unsigned.status) == (401, 401)
    page = city.person("wang").see("/administration?lang=en")
    for reason in ("forged", "unsigned", "stale", "unknown gateway"):
        assert reason in page


def test_a_gateway_cannot_speak_for_another(city: Centre) -> None:
    other = city.gateway("gw-2").alarm("water.other").raised()

    answer = city.gateway("gw-1").post([other])

    assert answer.status == 400
    assert answer.json["error"].startswith("[0].source: must be urn:watchline:gw-1")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"nope", "body: not JSON"),
        (event(b'"x": ' + b"[" * 50_000), "body: not JSON"),
        (event(b'"because": "\\ud800"'), "not JSON"),
        (event(b'"numbers": {"score": NaN}'), "not JSON"),
        (event(b'"t": {}'), "[0].data"),
        (b"\xff\xfe", "body: not JSON"),
        (b'{"specversion": "1.0"}', "Expected `array`"),
        (b'[{"specversion": "1.0", "source": "x", "type": "y"}]', "[0]: Object missing required field `id`"),
        (b'[{"specversion": "0.3", "id": "a", "source": "x", "type": "y"}]', "[0].specversion"),
    ],
)
def test_content_that_cannot_be_used_is_refused_by_name(city: Centre, body: bytes, where: str) -> None:
    answer = city.gateway().post(body)

    assert answer.status == 400
    assert where in answer.json["error"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("grade", "P9"), ("seq", "one"), ("incident", "../../etc"), ("because", "x" * 5000), ("alert_id", None)],
)
def test_a_wrong_field_is_named_with_the_number_of_its_event(city: Centre, field: str, value: object) -> None:
    gateway = city.gateway()
    good, bad = gateway.alarm("water.good").raised(), gateway.alarm("water.bad").raised()
    bad["data"][field] = value

    answer = gateway.post([good, bad])

    assert answer.status == 400
    assert answer.json["error"].startswith(f"[1].data.{field}: ")


@pytest.mark.parametrize("act", ["case.closed", "case.confirmed", "session.opened", "account.enabled"])
def test_a_gateway_cannot_say_what_only_staff_can(city: Centre, act: str) -> None:
    gateway = city.gateway()
    story = gateway.alarm(f"water.forged.{act}")
    gateway.tell(story.raised())
    forged = {**gateway.heartbeat(actor="wang", incident=story.incident), "type": f"city.linkage.{act}.v1"}

    answer = gateway.post([forged])

    assert answer.status == 400
    assert "for staff to say" in answer.text
    assert "chip stage received" in city.person("wang").see(f"/incidents/{story.key}")


@pytest.mark.parametrize("off_s", [-3600, 3600])
def test_a_gateway_whose_clock_is_wrong_is_told_so_and_loses_nothing(city: Centre, off_s: int) -> None:
    gateway = city.gateway()
    now_ns = time.time_ns() + off_s * 10**9
    change = gateway.alarm(f"clock.{off_s}").raised(detected_ns=now_ns, event_ns=now_ns)

    answer = gateway.post([change], now_s=int(time.time()) + off_s)

    assert answer.status == 401
    assert "clock" in answer.json["error"]
    gateway.tell(change)  # its clock was set: the same change, signed anew
    person = city.person("wang")
    assert f"clock.{off_s}" in person.see("/")


def test_a_huge_body_is_refused_before_it_is_read(city: Centre) -> None:
    answer = city.gateway().post(b"[" + b" " * (5 * 2**20) + b"]")

    assert answer.status == 413
    assert "fewer events" in answer.json["error"]


def test_an_event_of_a_type_that_is_not_known_yet_is_kept(city: Centre) -> None:
    gateway = city.gateway()
    event = gateway.heartbeat() | {"type": "city.linkage.something.new.v1", "id": "new-1"}

    assert gateway.tell(event) == []


def test_vital_signs_that_a_gateway_should_not_have_sent_are_not_stored(city: Centre) -> None:
    gateway = city.gateway()
    story = gateway.alarm("person-0417", medium="wristband", kind="fall", channel=None)
    plot = {"t": [1, 2], "v": [71, 4242]}
    change = story.raised(observed={"value": 4242.0}, numbers={"score": 4242.0}, extra={"plot": plot})
    change["data"]["because"] = "A fall, then stillness."

    gateway.tell(change)

    page = city.person("wang").see(f"/incidents/{story.key}")
    assert "A fall, then stillness." in page
    assert "<svg" not in page
    stored = b"".join(path.read_bytes() for path in city.folder.glob("state/casebook.db*"))
    assert b"4242" not in stored


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    with centre(tmp_path, users={"wang": "administrator"}) as there:
        gateway = there.gateway()
        story = gateway.alarm()
        gateway.tell(story.raised())
        person = there.person("wang")
        assert person.act(story.key, "acknowledged").status == 303
        assert there.server is not None
        there.server.stop()
        there.server.start()

        page = person.see(f"/incidents/{story.key}")  # the login lasts too

        assert 'class="chip stage accepted"' in page
        [command] = gateway.tell(gateway.heartbeat())
        assert command["kind"] == "ack"
        assert command["body"] == {"incident": story.incident}


def test_what_was_confirmed_outlives_a_kill_at_any_moment(tmp_path: Path) -> None:
    with centre(tmp_path, users={"wang": "staff"}) as there:
        gateway = there.gateway()
        confirmed: list[str] = []
        stop = threading.Event()

        def report(worker: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                story = gateway.alarm(f"water.{worker}.{number}")
                try:
                    answer = gateway.post([story.raised()])
                except (OSError, HTTPException):
                    time.sleep(0.02)
                    continue
                if answer.status == 200:
                    confirmed.append(story.key)

        workers = [threading.Thread(target=report, args=(worker,)) for worker in range(3)]
        for worker in workers:
            worker.start()
        assert there.server is not None
        for kill in range(4):
            enough = len(confirmed) + 40
            until(lambda enough=enough: len(confirmed) >= enough)
            time.sleep(0.013 * kill)
            there.server.kill()
            there.server.start()
        stop.set()
        for worker in workers:
            worker.join()

        person = there.person("wang")
        missing = [key for key in confirmed if person.request("GET", f"/incidents/{key}").status != 200]
        assert len(confirmed) >= 160
        assert missing == []
