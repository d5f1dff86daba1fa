"""Partner: one of the N centres of "1+N", told by signed webhook of what it is called about, and no more."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.notifiers.base import CloudEvent
from alerts.notifiers.webhook import Webhook


@dataclass
class Partner(Webhook):
    """Calls (`escalated`) whose `to` names the organisation; it answers at /api/v1/partners/ORGANISATION."""

    organisation: str = field(kw_only=True)  # its code in the directory, such as police-110

    def wants(self, change: CloudEvent) -> bool:
        return super().wants(change) and bool(self._own(change))

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        return super().notify([self._for_them(change) for change in changes])

    def _own(self, change: CloudEvent) -> list[Mapping[str, Any]]:
        data: Mapping[str, Any] = change.get("data", {})
        return [one for one in data.get("to", ()) if one.get("org") == self.organisation]

    def _for_them(self, change: CloudEvent) -> CloudEvent:
        """Without the telephone numbers of the others."""
        return {**change, "data": {**change["data"], "to": self._own(change)}}
