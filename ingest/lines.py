"""Lines: readings as InfluxDB line protocol, encoded from columns."""

import re
from typing import Any

import numpy as np

from ingest.journal import Listed
from ingest.readings import QUALITY_NAMES, ReadingBatch


class Lines:
    """Line protocol from columns, for channels by journal number."""

    def __init__(self, known: Listed) -> None:
        import pyarrow as pa

        self.id = known.id
        self.is_wristband = np.array([medium == "wristband" for medium in known.medium], dtype=bool)
        columns = zip(known.medium, known.id, known.place, known.quantity, known.zone)
        self._heads = pa.array([_head(*column) for column in columns])
        self._qualities = pa.array([f'quality="{name}" ' for name in QUALITY_NAMES])

    def encode(self, readings: ReadingBatch) -> Any:
        """A pyarrow array of lines, one a reading; the value is left out where it is not finite."""
        import pyarrow as pa
        import pyarrow.compute as pc

        finite = np.isfinite(readings.value)
        value = pa.array(readings.value, mask=~finite).cast(pa.string())
        value = pc.binary_join_element_wise("value=", value, ",", "").fill_null("")
        head = self._heads.take(pa.array(readings.channel))
        quality = self._qualities.take(pa.array(readings.quality))
        time = pa.array(readings.time_ns).cast(pa.string())
        return pc.binary_join_element_wise(head, value, quality, time, "")


def _head(medium: str, channel: str, place: str, quantity: str, zone: str) -> str:
    tags = {"channel": channel, "place": place, "quantity": quantity, "zone": zone}
    named = "".join(f",{key}={_escaped(text)}" for key, text in tags.items() if text)
    return f"{_escaped(medium)}{named} "


def _escaped(text: str) -> str:
    """A tag value; a newline would end the line, and a last backslash would swallow the comma behind it."""
    text = re.sub(r"\s", " ", text)
    text = re.sub(r"([,= ])", r"\\\1", text)
    return text + "/" if text.endswith("\\") else text
