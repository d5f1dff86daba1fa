"""FHIR: a Flag (R4) at a hospital for a wearer's open alert, only where that person has consented."""

import stat
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from alerts.notifiers.base import CloudEvent, Home, Notifier
from alerts.notifiers.posting import Post
from alerts.notifiers.wording import is_over, moment_of
from config.errors import SettingsError
from config.forms import FilePath, Seconds
from config.grades import read_grades
from config.secrets import Secret
from config.settings import WebAddress

CATEGORY = "http://terminology.hl7.org/CodeSystem/flag-category"


@dataclass
class Fhir(Notifier):
    """A conditional update of `Flag?identifier=…`, so that a repeat changes nothing; over, it is inactive.

    It holds kind, grade, time and the wearer's pseudonym. No Observation is sent: an alert holds no vital
    sign, and vital signs stay at the gateway.
    """

    url: WebAddress  # base of the FHIR server, such as "https://fhir.hospital.example/r4"
    consents: FilePath  # a TOML file of mode 600: `person-7 = 2027-01-01`, the day until which it holds
    token: Secret | None = None  # bearer token of the server
    timeout_s: Seconds = 10.0
    _until: Mapping[str, date] = field(default_factory=dict, init=False, repr=False)
    _site: str = field(default="", init=False, repr=False)

    at_once: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._until = read_consents(self.consents)

    def join(self, home: Home) -> None:
        self._site = home.site

    def wants(self, change: CloudEvent) -> bool:
        """Of wearers who consented, what people are told, and its end."""
        data: Mapping[str, Any] = change.get("data", {})
        until = self._until.get(str(data.get("place", "")))
        consented = until is not None and moment_of(change).date() < until
        told = bool(data.get("notify")) or is_over(change)
        return super().wants(change) and data.get("medium") == "wristband" and consented and told

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        headers = {"content-type": "application/fhir+json"}
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token.reveal()}"
        for change in changes:
            alert_id = str(change["data"]["alert_id"])
            where = f"{self.url}/Flag?identifier=urn:watchline:alert|{alert_id}"
            post = Post(where, self.timeout_s, "FHIR server")
            try:
                post.send(msgspec.json.encode(self.flag(change)), headers, method="PUT")
            finally:
                post.close()
        return None

    def flag(self, change: CloudEvent) -> dict[str, Any]:
        """The resource; `author` is this gateway."""
        data = change["data"]
        grading = read_grades().of("wristband", str(data["kind"]))
        over = is_over(change)
        period = {"start": data["t"]["event"]} if not over else {"end": data["t"]["event"]}
        return {
            "resourceType": "Flag",
            "identifier": [{"system": "urn:watchline:alert", "value": str(data["alert_id"])}],
            "status": "inactive" if over else "active",
            "category": [{"coding": [{"system": CATEGORY, "code": "safety"}]}],
            "code": {
                "coding": [{"system": "urn:watchline:kind", "code": str(data["kind"])}],
                "text": f"{data['grade']} {grading.title} / {grading.title_zh}",
            },
            "subject": {"identifier": {"system": "urn:watchline:person", "value": str(data["place"])}},
            "period": period,
            "author": {"display": f"Watchline {self._site}"},
        }


def read_consents(path: Path) -> dict[str, date]:
    """Until which day each person's consent holds; SettingsError where the file cannot be used."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"consents: {path} can be read by others; run  chmod 600 {path}")
        written = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"consents: {path} cannot be read: {error}") from error
    wrong = [person for person, until in written.items() if type(until) is not date]
    if wrong:
        raise SettingsError(
            [f"consents: {path}: {one[:64]} needs a day, such as  {one[:64]} = 2027-01-01" for one in wrong]
        )
    return written
