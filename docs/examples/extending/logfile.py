"""Logfile: every alert change as a line of JSON at the end of a file, for whoever reads files."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from alerts.notifiers.base import CloudEvent, Notifier
from config.errors import DeliveryFailed
from config.forms import FilePath


@dataclass
class Logfile(Notifier):
    """At least once, as every notifier: after a crash the last lines may stand there twice, ids and all."""

    path: FilePath  # where the lines go; its folder must exist
    told_only: bool = False  # leave out changes that people are not told (data.notify false)

    at_once: ClassVar[int] = 100

    def wants(self, change: CloudEvent) -> bool:
        data: Mapping[str, Any] = change.get("data", {})
        return super().wants(change) and (not self.told_only or bool(data.get("notify")))

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        lines = b"".join(msgspec.json.encode(change) + b"\n" for change in changes)
        try:
            with self.path.open("ab") as out:
                out.write(lines)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise DeliveryFailed(f"{self.path} cannot be written: {error.strerror}") from error
        return None
