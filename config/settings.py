"""Settings: what may stand in gateway.toml and centre.toml; read-only, and a misspelt key is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from config import kinds
from config.forms import FilePath, Seconds, seconds
from config.quantities import did_you_mean
from config.secrets import Secret, SigningSecret

__all__ = ["CentreSettings", "GatewaySettings", "seconds"]


def _plain_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError("must be 1 to 64 letters, digits, . _ or -: it becomes part of topics and addresses")
    return text


def _known_timezone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        guess = did_you_mean(name, sorted(available_timezones()))
        raise ValueError(f'unknown time zone "{name}"; {guess}') from error


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError('must be an address such as "https://centre.example:8443"')
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password; secrets have fields of their own")
    return text.rstrip("/")


def _above_warning(alarm: float | None, info: ValidationInfo) -> float | None:
    warning = info.data.get("warning")
    if alarm is not None and warning is not None and alarm <= warning:
        raise ValueError(f"must lie above warning {warning}")
    return alarm


def _work_hours(text: str) -> str:
    from config.workdays import hours

    hours(text)
    return text


def _case_limits(limits: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    from config.clocks import read_clocks, with_limits

    with_limits(read_clocks(), limits)
    return limits


Id = Annotated[str, AfterValidator(_plain_id)]
WorkHours = Annotated[str, AfterValidator(_work_hours)]
CaseLimits = Annotated[dict[str, dict[str, str]], AfterValidator(_case_limits)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
TimeZone = Annotated[str, AfterValidator(_known_timezone)]
Port = Annotated[int, Field(ge=1, le=65535)]
Score = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """A table of the file: read-only, and a misspelt key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), defer_build=True
    )  # deferred: each is built when first used, and a gateway needs but a few


class Site(Settings):
    """What is watched, and where this gateway keeps its state."""

    id: Id = Field(description="short name of this gateway in topics, alerts and at the centre")
    name: str = Field(default="", description="what people call the site")
    timezone: TimeZone = Field(default="Asia/Shanghai", description="whose hours and days people live by")
    channels: FilePath = Field(description="the channel list, a CSV file")
    links: FilePath | None = Field(default=None, description="which place feeds which, a CSV file")
    context: FilePath | None = Field(default=None, description="announced works and holidays, a JSON file")
    rationale: FilePath | None = Field(
        default=None, description="why each alarm is there, beside the built-in"
    )
    data: FilePath = Field(
        default="data", validate_default=True, description="folder for journal and snapshots"
    )
    snapshot_every_s: Annotated[Seconds, Field(gt=0)] = Field(
        default=300.0, description="how often memories are saved; a restart repeats at most this much"
    )
    backlog_s: Annotated[Seconds, Field(gt=0)] = Field(
        default=14 * 86400.0,
        description="how long readings wait for a store that is away; then the oldest go, counted",
    )
    backlog_bytes: Annotated[int, Field(ge=1 << 20)] = Field(
        default=4 << 30, description="how large the journal may grow for it; then the oldest go, counted"
    )
    warmup_s: Seconds = Field(
        default=3 * 86400.0,
        description="how long after its first reading a channel's alerts are marked as warm-up",
    )


class Entry(Settings):
    """A table with a `kind`: the kind's own options stand beside it."""

    folder: ClassVar[str]

    kind: str = Field(description="the file that holds it, or the import path of a module elsewhere")
    options: dict[str, Any] = Field(
        default={}, description="options of the kind; they may also stand beside it"
    )
    _where: str = PrivateAttr("")
    _beside: Path | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            return written
        inner = written.get("options", {})
        if not isinstance(inner, Mapping):
            return written
        known = set(cls.model_fields)
        outer = {key: value for key, value in written.items() if key not in known}
        twice = sorted(set(outer) & set(inner))
        if twice:
            raise ValueError(f"{twice[0]} stands both in options and beside them; keep one")
        kept = {key: value for key, value in written.items() if key in known}
        return {**kept, "options": {**inner, **outer}}

    @property
    def where(self) -> str:
        """File, line and place, such as "gateway.toml:12: source[0]"."""
        return self._where or self.kind

    def locate(self, where: str, beside: Path) -> None:
        """Said once by the reader: where this stands, and the folder at which relative paths begin."""
        self._where, self._beside = where, beside

    def build(self) -> Any:
        """The kind's instance; SettingsError lists every mistake."""
        return kinds.build(self.folder, self.kind, self.options, self.where, self._beside)


class Source(Entry):
    """A device or a broker from which readings come."""

    folder = kinds.SOURCES


class Watching(Entry):
    """A detector set over some channels, in place of what it would do there by default."""

    folder = kinds.DETECTORS

    channels: str = Field(default="*", description='pattern of channel ids, such as "gas.*.pressure"')
    enabled: bool = Field(default=True, description="false: nothing of this kind watches these channels")
    warning: Score | None = Field(
        default=None, description="score from which it warns; without it, the alarm budget's"
    )
    alarm: Annotated[Score | None, AfterValidator(_above_warning)] = Field(
        default=None, description="score from which it alarms; without it, the alarm budget's"
    )
    hold_s: Seconds = Field(
        default=5.0, description="how long a channel must stay strange before an alert is raised"
    )


class Notifier(Entry):
    """A receiver of alert changes."""

    folder = kinds.NOTIFIERS

    name: str = Field(default="", description="what log and ledger call it; without it, its kind")
    instead_of: str = Field(
        default="",
        description='name of the receiver that it stands in for, or "centre": it tells what that one has not',
    )
    after: dict[Literal["P1", "P2", "P3", "P4"], Seconds] = Field(
        default={"P1": 60.0, "P2": 300.0, "P3": 900.0},
        description="with `instead_of`, by grade: how long the other has; a grade not named is not told",
    )

    @property
    def label(self) -> str:
        """Its name, by which its place in the outbox is remembered."""
        return self.name or self.kind


def _stand_in_for_somebody(notifiers: list[Notifier], centre: bool) -> None:
    """`instead_of` names another receiver that is not itself a stand-in."""
    known = {one.label: one for one in notifiers}
    for one in notifiers:
        other = known.get(one.instead_of)
        if not one.instead_of or (centre and one.instead_of == "centre"):
            continue
        if other is None or other is one:
            names = sorted({*known, *(["centre"] if centre else [])} - {one.label})
            raise ValueError(
                f'notifier "{one.label}": instead_of = "{one.instead_of}" is no other receiver;'
                f" {did_you_mean(one.instead_of, names)}"
            )


class Influx(Settings):
    """InfluxDB, to which stored readings are copied."""

    url: WebAddress = Field(description="address of the server")
    org: str = Field(default="", description="organisation")
    bucket: str = Field(description="bucket of all readings but those of wristbands")
    token: Secret | None = Field(default=None, description="token that may write the bucket; a secret")
    wristband_bucket: str | None = Field(
        default=None, description="bucket of wristband readings; without it they are withheld"
    )
    wristband_token: Secret | None = Field(default=None, description="token of that bucket alone; a secret")
    timeout_s: Annotated[Seconds, Field(gt=0)] = Field(
        default=10.0, description="how long one write may take"
    )
    batch: Annotated[int, Field(ge=1, le=50_000)] = Field(default=5_000, description="readings in one write")

    @model_validator(mode="after")
    def _wristbands_have_a_place_of_their_own(self) -> Influx:
        if (self.wristband_bucket is None) != (self.wristband_token is None):
            raise ValueError("wristband_bucket and wristband_token go together: one needs the other")
        if self.wristband_bucket is not None and self.wristband_bucket == self.bucket:
            raise ValueError(f'wristband_bucket must not be the bucket of all else, "{self.bucket}"')
        return self


class Archive(Settings):
    """Parquet files of all readings, with the facts that a replay needs."""

    folder: FilePath = Field(description="where the files go")
    keep_s: Annotated[Seconds, Field(ge=86400)] | None = Field(
        default=None, description="how long they are kept, at least a day; without it, for good"
    )
    keep_bytes: Annotated[int, Field(ge=1 << 20)] | None = Field(
        default=None,
        description="how large the folder may grow; then the oldest files go; without it, no limit",
    )


class Centre(Settings):
    """The linkage centre to which alert changes and heartbeats go, and from which commands come."""

    url: WebAddress = Field(description="address of the centre")
    secret: SigningSecret = Field(description="signing secret that the centre knows this gateway by")
    heartbeat_s: Annotated[Seconds, Field(gt=0)] = Field(default=60.0, description="time between heartbeats")


class Metrics(Settings):
    """Where the gateway tells of itself: `/metrics` for Prometheus, `/healthz`, and `/status` as JSON.

    Without this table nothing listens. It has no passwords, so leave it on the loopback address.
    """

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(default=9464, description="port to listen on")


class GatewaySettings(Settings):
    """gateway.toml"""

    site: Site = Field(description="what is watched")
    source: list[Source] = Field(default=[], description="where readings come from")
    watching: list[Watching] = Field(default=[], description="detectors set otherwise than by default")
    notifier: list[Notifier] = Field(default=[], description="who else is told")
    influxdb: Influx | None = Field(default=None, description="copy readings to InfluxDB")
    archive: Archive | None = Field(default=None, description="copy readings to Parquet files")
    centre: Centre | None = Field(default=None, description="tell the linkage centre")
    metrics: Metrics | None = Field(default=None, description="tell of itself to whoever asks")

    @model_validator(mode="after")
    def _receivers_stand_in_for_others(self) -> GatewaySettings:
        _stand_in_for_somebody(self.notifier, self.centre is not None)
        return self


class Listen(Settings):
    """Where the centre answers."""

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: Port = Field(default=8080, description="port to listen on")
    certificate: FilePath | None = Field(default=None, description="TLS certificate chain, PEM")
    key: FilePath | None = Field(default=None, description="TLS private key, PEM")

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Listen:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: one needs the other")
        return self


class Store(Settings):
    """Where the centre keeps its facts."""

    path: FilePath = Field(description="the casebook, an SQLite file")


class Gateway(Settings):
    """A gateway that may speak to this centre."""

    id: Id = Field(description="the gateway's site id")
    secret: SigningSecret = Field(description="the signing secret that both know")
    heartbeat_s: Annotated[Seconds, Field(gt=0)] = Field(
        default=60.0, description="time between its heartbeats; after three missed ones it counts as silent"
    )
    area: str = Field(
        default="",
        description="organisation where it stands: by its rota the gateway calls while cut off;"
        " without it, by the duty desk's",
    )


class Cases(Settings):
    """How the centre keeps cases."""

    verify_s: Seconds = Field(
        default=1800.0, description="how long every signal must stay back in band before a case may be closed"
    )
    timezone: TimeZone = Field(default="Asia/Shanghai", description="whose hours the page shows")
    work_hours: WorkHours = Field(
        default="09:00-12:00 13:00-17:00", description="when working hours and working days count"
    )
    holidays: str = Field(
        default="CN",
        description='country whose holidays and make-up working days count; "" = Monday to Friday alone',
    )
    days_off: list[date] = Field(default=[], description="further days on which nobody works")
    days_on: list[date] = Field(default=[], description="further days on which people work")
    rationale: FilePath | None = Field(
        default=None, description="why each alarm is there, beside the built-in"
    )
    limits: CaseLimits = Field(
        default={},
        description='by stage and grade: how long a case may stay there, such as `handling.P3 = "2 h"`',
    )


class People(Settings):
    """Whom the centre calls: its directory of organisations and people, and who is called at last.

    Lists come in by `watchline import`. Without this table nobody is called but the notifiers.
    """

    directory: FilePath = Field(description="the directory, an SQLite file beside the casebook")
    desk: str = Field(description="code of the organisation whose rota is the duty desk")
    last: str = Field(description="person or organisation called for ever when nobody else answers")
    routing: FilePath | None = Field(
        default=None, description="who is called when, instead of the built-in routing.toml"
    )


class CentreSettings(Settings):
    """centre.toml"""

    listen: Listen = Field(default_factory=Listen, description="where the centre answers")
    store: Store = Field(description="where the centre keeps its facts")
    gateway: list[Gateway] = Field(default=[], description="who may speak to it")
    cases: Cases = Field(default_factory=Cases, description="how cases are kept")
    people: People | None = Field(default=None, description="whom it calls")
    notifier: list[Notifier] = Field(default=[], description="whom the centre tells")

    @model_validator(mode="after")
    def _receivers_stand_in_for_others(self) -> CentreSettings:
        _stand_in_for_somebody(self.notifier, False)
        return self
