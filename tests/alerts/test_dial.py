"""Dial: whoever is called is reached by their own contacts, the next one where the first takes nothing."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.notifiers.dial import TRIES, Dial
from alerts.shortmessage import size_of
from config.errors import DeliveryFailed, SettingsError
from tests.alerts.notifiers import Posts, burst, contacts, posts, sent
from tests.parts import free_port

LI = {"org": "hub", "person": "li", "contacts": ["sms:+8613811112222", "wecom:li.wei"]}
WANG = {"org": "hub", "person": "wang", "contacts": ["wecom:wang"]}
WATER = {"org": "water-company", "person": "", "contacts": ["phone:0281234"]}


@pytest.fixture
def far() -> Iterator[Posts]:
    with posts() as there:
        yield there


def dial(folder: Path, far: Posts, **ways: str) -> Dial:
    at = far.url.removeprefix("http://").rstrip("/")
    known = {"sms": f"json://{at}/sms/{{to}}", "wecom": f"json://{at}/wecom/{{to}}"}
    return Dial(contacts(folder, **{**known, **ways}), language="en")


def call(*to: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """A call as the centre's caller writes it."""
    event = dict(sent(burst().change("escalated", "ACTIVE_UNACK"), to=list(to), case="gw/1", why="first"))
    return {**event, "id": f"call-{number}"}


def heard(far: Posts) -> list[str]:
    return [path for path, _, _ in far.got]


def test_everybody_is_called_by_the_first_of_their_contacts(tmp_path: Path, far: Posts) -> None:
    assert dial(tmp_path, far).notify([call(LI, WANG)]) == ["call-1"]

    assert sorted(heard(far)) == ["/sms/+8613811112222", "/wecom/wang"]
    short, whole = (json.loads(body) for _, _, body in sorted(far.got))
    assert size_of(short["message"]).parts == 1
    assert "you are called" in short["message"]
    assert "What to do" in whole["message"]


def test_the_next_contact_is_tried_where_the_first_takes_nothing_and_nobody_hears_it_twice(
    tmp_path: Path, far: Posts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    dead = f"json://127.0.0.1:{free_port()}/{{to}}"

    assert dial(tmp_path, far, sms=dead).notify([call(LI, WANG)]) == ["call-1"]

    assert sorted(heard(far)) == ["/wecom/li.wei", "/wecom/wang"]
    assert "li was not reached by sms about call-1" in caplog.text
    assert "8613811112222" not in caplog.text, "an address goes into no log"


def test_who_was_not_reached_is_tried_again_and_those_who_were_are_left_alone(
    tmp_path: Path, far: Posts
) -> None:
    port = free_port()
    people = dial(tmp_path, far, phone=f"json://127.0.0.1:{port}/phone/{{to}}")
    with pytest.raises(DeliveryFailed, match="reached nobody of water-company") as failure:
        people.notify([call(WANG, WATER)])
    assert not failure.value.permanent
    with pytest.raises(DeliveryFailed):
        people.notify([call(WANG, WATER)])
    assert heard(far) == ["/wecom/wang"]
    with posts(port) as later:
        assert people.notify([call(WANG, WATER)]) == ["call-1"]
        assert heard(later) == ["/phone/0281234"]
    assert heard(far) == ["/wecom/wang"]


def test_one_dead_number_holds_up_nobody_and_is_put_aside_while_others_get_through(
    tmp_path: Path, far: Posts
) -> None:
    people = dial(tmp_path, far, phone=f"json://127.0.0.1:{free_port()}/{{to}}")
    for number in range(2, TRIES + 1):
        assert people.notify([call(WATER), call(WANG, number=number)]) == [f"call-{number}"]
    with pytest.raises(DeliveryFailed, match="no contact of water-company can be reached") as failure:
        people.notify([call(WATER)])
    assert failure.value.permanent


def test_while_a_way_is_away_nothing_is_given_up(tmp_path: Path, far: Posts) -> None:
    people = dial(tmp_path, far, phone=f"json://127.0.0.1:{free_port()}/{{to}}")
    for _ in range(2 * TRIES):
        with pytest.raises(DeliveryFailed) as failure:
            people.notify([call(WATER)])
        assert not failure.value.permanent


def test_who_has_no_contact_that_can_be_dialled_is_said_at_once(tmp_path: Path, far: Posts) -> None:
    pigeon = {"org": "hub", "person": "gu", "contacts": ["pigeon:7"]}
    with pytest.raises(DeliveryFailed, match="no contact of gu") as failure:
        dial(tmp_path, far).notify([call(pigeon)])
    assert failure.value.permanent


def test_an_address_stays_in_its_place_whatever_stands_in_it(tmp_path: Path, far: Posts) -> None:
    sly = {"org": "hub", "person": "sly", "contacts": ["sms:../admin?x=1#@evil.example"]}

    dial(tmp_path, far).notify([call(sly)])

    assert heard(far)[0].startswith("/sms/")
    assert len(far.got) == 1


def test_ways_that_cannot_be_used_are_named_without_their_tokens(tmp_path: Path, far: Posts) -> None:
    for bad in ("no url at all {to}", "json://host/without-place-for-the-number"):
        with pytest.raises(SettingsError, match=r"sms must be an Apprise URL with \{to\} in it") as refusal:
            dial(tmp_path, far, sms=bad)
        assert "without-place" not in str(refusal.value)


def test_only_calls_are_dialled(tmp_path: Path, far: Posts) -> None:
    people = dial(tmp_path, far)
    assert people.wants(call(LI))
    assert not people.wants(burst().raised())
