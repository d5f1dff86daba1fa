"""Events: what comes over the wire and what the casebook holds; every mistake named by its field."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct

GATEWAY_SOURCE = "urn:watchline:"  # followed by the site id
CENTRE_SOURCE = "urn:watchline:centre"  # what the centre itself notices, such as a silent gateway
STAFF_SOURCE = "urn:watchline:centre:staff"  # what people do: acts on cases, logins, accounts

ALERT = "city.linkage.alert."
CASE = "city.linkage.case."
SESSION = "city.linkage.session."
ACCOUNT = "city.linkage.account."
HEARTBEAT = "city.linkage.node.heartbeat.v1"
CONFIRMED = "city.linkage.command.confirmed.v1"
PROOF = "city.linkage.node.proof.v1"  # a gateway's proof of life: confirmed, and not kept
VITALS = "city.linkage.node.vitals.v1"  # sealed vital signs for who asked: confirmed, and never kept
CALLED = "city.linkage.case.called.v1"  # a gateway called people by itself; the one act that is a gateway's
STAFFS = (CASE, SESSION, ACCOUNT)

Grade = Literal["P1", "P2", "P3", "P4"]
Id = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._:@-]+$")]
Word = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=4000)]
Moment = Annotated[datetime, Meta(tz=True)]

OF_A_WEARER = frozenset(  # what may be stored of a wristband's alert; whatever else a gateway says is not
    {
        "alert_id", "incident", "fingerprint", "occurrence", "seq", "state", "grade", "tier",
        "kind", "rule", "medium", "place", "channel", "because", "because_zh", "notify", "warmup",
        "t", "actor", "reason", "advice", "advice_zh", "owner", "title", "title_zh", "zone", "grid",
        "overlays", "command", "shelved_until", "one_shot", "supersedes", "previous_alert", "test",
    }
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class BadBatch(Exception):
    """A batch that cannot be used; the text names the event and the field."""


class Times(Struct, frozen=True):
    """When it happened and when it was noticed, in the gateway's stream time."""

    event: Moment
    detected: Moment


class Change(Struct, frozen=True):
    """The `data` of an alert change (domain facts §14); what is not named here is not read."""

    alert_id: Id
    incident: Id
    seq: Annotated[int, Meta(ge=0)]
    state: Word
    grade: Grade
    kind: Word
    place: Word
    because: Text
    t: Times
    because_zh: Text = ""
    notify: bool = False
    warmup: bool = False
    occurrence: int = 1
    medium: Word = ""
    channel: Word = ""
    tier: Word = ""
    owner: Word = ""
    title: Word = ""
    title_zh: Word = ""
    advice: Text = ""
    advice_zh: Text = ""
    actor: Word = ""
    reason: Text = ""
    grid: Word = ""
    rule: Any = None
    numbers: dict[str, float] = {}
    observed: dict[str, Any] | None = None
    plot: Any = None
    why: Any = None
    upstream: Any = None
    candidates: Any = None  # where the cause may lie, the likeliest first
    location: Any = None
    shelved_until: Moment | None = None
    supersedes: list[Id] = []  # incidents that turned out to be part of this one


class Confirmation(Struct, frozen=True):
    """The `data` of a confirmed command."""

    command: Id
    result: Literal["applied", "refused"]
    reason: Text = ""


class Call(Struct, frozen=True):
    """The `data` of a call that a gateway made in place of the centre."""

    actor: Word  # the notifier
    incident: Id
    alert_id: Id
    change: Id
    called: list[Word] = []  # ids of its roster


class Sealed(Struct, frozen=True):
    """The `data` of a gateway's answer to a break-glass: for the one who holds the other half of `key`."""

    key: Word
    sealed: Annotated[str, Meta(max_length=64 * 1024)] = ""
    error: Text = ""


class Event(Struct, frozen=True):
    """A CloudEvents 1.0 envelope; `data` is read by its type."""

    specversion: Literal["1.0"]
    id: Id
    source: Word
    type: Word
    time: Moment | None = None
    data: Raw = Raw(b"{}")


class Fact(Struct, frozen=True):
    """One line of the casebook: an event as it was received; `number` is its place."""

    number: int
    received_ns: int
    source: str
    id: str
    type: str
    incident: str  # "<gateway>/<incident>" where it is about one, else ""
    data: bytes  # JSON


def read_batch(body: bytes, source: str) -> list[Event]:
    """The events of a gateway's POST, checked down to their fields; BadBatch names the first mistake."""
    events: list[Event] = _decode(body, list[Event], "")
    for index, event in enumerate(events):
        if event.source != source:
            raise BadBatch(f"[{index}].source: must be {source}, got {event.source[:80]}")
        if event.type.startswith(ALERT):
            _decode(bytes(event.data), Change, f"[{index}].data")
        elif event.type == HEARTBEAT:
            _decode(bytes(event.data), dict[str, Any], f"[{index}].data")
        elif event.type == CALLED:
            _decode(bytes(event.data), Call, f"[{index}].data")
        elif event.type == VITALS:
            _decode(bytes(event.data), Sealed, f"[{index}].data")
        elif event.type.startswith(STAFFS):
            raise BadBatch(f"[{index}].type: {event.type[:80]} is for staff to say, not for a gateway")
        elif event.type == CONFIRMED:
            _decode(bytes(event.data), Confirmation, f"[{index}].data")
    return events


def change_of(fact: Fact) -> Change:
    """The alert change that a fact holds."""
    return msgspec.json.decode(fact.data, type=Change)


def without_vitals(data: bytes) -> bytes:
    """An alert's data as it may be stored: of a wristband no value, number or plot, whoever sent it."""
    members = msgspec.json.decode(data)
    if members.get("medium") != "wristband":
        return data
    kept = {name: value for name, value in members.items() if name in OF_A_WEARER}
    for name in ("because", "because_zh"):
        if any(sign.isdigit() for sign in str(kept.get(name, ""))):  # a number there is a vital sign
            kept[name] = ""
    return msgspec.json.encode(kept)


def nanoseconds(moment: datetime) -> int:
    """UTC nanoseconds since 1970 of an aware datetime, exact to the microsecond."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


def site_of(source: str) -> str:
    """The site id inside a gateway's CloudEvents source."""
    return source.removeprefix(GATEWAY_SOURCE)


def _decode(body: bytes, shape: Any, where: str) -> Any:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        place = where + path.rstrip("`")
        raise BadBatch(f"{place}: {problem}" if place else problem) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBatch(f"{where or 'body'}: not JSON: {error}") from error
