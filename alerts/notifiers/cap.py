"""CAP: each change that people are told as a Common Alerting Protocol 1.2 message, POSTed as XML."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import time
from typing import ClassVar, Literal
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from alerts.notifiers.base import CloudEvent, Notifier
from alerts.notifiers.posting import Post
from alerts.notifiers.wording import is_over, kind_of, moment_of, one_line
from alerts.signing import sign
from config.errors import SettingsError
from config.forms import Seconds
from config.grades import read_grades
from config.secrets import SigningSecret
from config.settings import TimeZone, WebAddress

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
LIVES = timedelta(hours=4)  # `expires`, after `sent`
LEVELS = {  # urgency, severity, certainty: domain facts §11
    "P1": ("Immediate", "Extreme", "Observed"),
    "P2": ("Immediate", "Severe", "Likely"),
    "P3": ("Expected", "Moderate", "Likely"),
    "P4": ("Future", "Minor", "Possible"),
}
CATEGORY = {"gas": "Safety", "water": "Infra", "power": "Infra", "wristband": "Health"}
CIRCLE_KM = 0.3  # around a place whose position is known


@dataclass
class Cap(Notifier):
    """Status Test and scope Restricted unless set otherwise: a message of ours is no public warning.

    Raised is an Alert, what follows an Update that refers to it, the end an Update with AllClear. Of a
    wristband no message is made: a person's state is nobody's warning.
    """

    url: WebAddress
    secret: SigningSecret  # the POST is signed as a webhook's
    sender: str  # who we are, such as "linkage@chenghua.example"; no space, comma, < or &
    status: Literal["Actual", "Exercise", "System", "Test", "Draft"] = "Test"
    scope: Literal["Restricted", "Private", "Public"] = "Restricted"
    restriction: str = "linkage centre and partners"  # with Restricted: for whom it is
    addresses: tuple[str, ...] = ()  # with Private: for whom it is
    timezone: TimeZone = "Asia/Shanghai"
    timeout_s: Seconds = 10.0
    _post: Post = field(init=False, repr=False)
    _first: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    at_once: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.sender or set(self.sender) & set(" ,<&") or not self.sender.isprintable():
            raise SettingsError(f'sender: "{self.sender}" must hold no space, comma, < or &')
        if self.scope == "Private" and not self.addresses:
            raise SettingsError("addresses: missing; scope Private says for whom it is")
        self._post = Post(self.url, self.timeout_s, "CAP receiver")

    def wants(self, change: CloudEvent) -> bool:
        data = change.get("data", {})
        told = bool(data.get("notify")) and data.get("medium") != "wristband"
        return super().wants(change) and told

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        for change in changes:
            body = self.document(change)
            headers = sign(self.secret.reveal(), str(change["id"]), int(time()), body)
            self._post.send(body, {**headers, "content-type": "application/cap+xml; charset=utf-8"})
        return None

    def close(self) -> None:
        self._post.close()

    def document(self, change: CloudEvent) -> bytes:
        """One CAP 1.2 message, in the order of its schema."""
        data = change["data"]
        sent = moment_of({"time": change["data"]["t"].get("sent") or change.get("time")})
        stamp = sent.astimezone(ZoneInfo(self.timezone)).replace(microsecond=0)
        root = ElementTree.Element("alert", xmlns=NAMESPACE)
        first = f"{data['alert_id']}-1"
        opening = kind_of(change) == "raised" and int(data.get("occurrence", 1)) == 1
        _add(root, "identifier", str(change["id"]))
        _add(root, "sender", self.sender)
        _add(root, "sent", stamp.isoformat())
        _add(root, "status", self.status)
        _add(root, "msgType", "Alert" if opening else "Update")
        _add(root, "scope", self.scope)
        if self.scope == "Restricted":
            _add(root, "restriction", self.restriction)
        if self.scope == "Private":
            _add(root, "addresses", " ".join(f'"{one}"' if " " in one else one for one in self.addresses))
        if not opening:
            began = self._first.get(str(data["alert_id"]), stamp.isoformat())
            _add(root, "references", f"{self.sender},{first},{began}")
        elif not is_over(change):
            self._first[str(data["alert_id"])] = stamp.isoformat()
        _add(root, "incidents", str(data["incident"]))
        for chinese in (True, False):
            self._info(root, change, chinese, stamp.isoformat(), (stamp + LIVES).isoformat())
        document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        return document

    def _info(
        self, root: ElementTree.Element, change: CloudEvent, chinese: bool, sent: str, ends: str
    ) -> None:
        data = change["data"]
        grading = read_grades().of(str(data.get("medium", "")), str(data.get("kind", "")))
        urgency, severity, certainty = LEVELS.get(str(data.get("grade")), LEVELS["P4"])
        over = is_over(change)
        title = grading.title_zh if chinese else grading.title
        because = str((data.get("because_zh") if chinese else "") or data.get("because", ""))
        info = _add(root, "info")
        _add(info, "language", "zh-CN" if chinese else "en-US")
        _add(info, "category", CATEGORY.get(str(data.get("medium")), "Other"))
        _add(info, "event", title)
        _add(info, "responseType", "AllClear" if over else "Assess")
        _add(info, "urgency", "Past" if over else urgency)
        _add(info, "severity", "Minor" if over else severity)
        _add(info, "certainty", certainty)
        _add(info, "effective", sent)
        _add(info, "expires", ends)
        _add(info, "headline", one_line(f"{title} · {data.get('place', '')}")[:160])
        _add(info, "description", because)
        _add(info, "instruction", grading.advice_zh if chinese else grading.advice)
        area = _add(info, "area")
        _add(area, "areaDesc", str(data.get("place", "")))
        where = data.get("location")
        if isinstance(where, dict):
            _add(area, "circle", f"{where['lat']:.5f},{where['lon']:.5f} {CIRCLE_KM}")


def _add(parent: ElementTree.Element, name: str, text: str = "") -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    if text:
        child.text = "".join(c for c in text if c.isprintable() or c == "\n")  # no control character is XML
    return child
