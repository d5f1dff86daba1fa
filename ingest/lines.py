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
        heads = [_head(*column) for column in columns]
        self._heads = pa.array(heads)
        self._valued_heads = pa.array([f"{head}value=" for head in heads])
        self._qualities = pa.array([f'quality="{name}" ' for name in QUALITY_NAMES])
        self._later_qualities = pa.array([f',quality="{name}" ' for name in QUALITY_NAMES])

    def encode(self, readings: ReadingBatch) -> Any:
        """A pyarrow array of lines, one a reading; the value is left out where it is not finite."""
        import pyarrow as pa
        import pyarrow.compute as pc

        channel, quality = pa.array(readings.channel), pa.array(readings.quality)
        value, time = pa.array(readings.value).cast(pa.string()), pa.array(readings.time_ns).cast(pa.string())
        join = pc.binary_join_element_wise
        valued = join(self._valued_heads.take(channel), value, self._later_qualities.take(quality), time, "")
        finite = np.isfinite(readings.value)
        if finite.all():
            return valued
        bare = join(self._heads.take(channel), self._qualities.take(quality), time, "")
        return pc.if_else(pa.array(finite), valued, bare)


def _head(medium: str, channel: str, place: str, quantity: str, zone: str) -> str:
    tags = {"channel": channel, "place": place, "quantity": quantity, "zone": zone}
    named = "".join(f",{key}={_escaped(text)}" for key, text in tags.items() if text)
    return f"{_escaped(medium)}{named} "


def _escaped(text: str) -> str:
    """A tag value; a newline would end the line, and a last backslash would swallow the comma behind it."""
    text = re.sub(r"\s", " ", text)
    text = re.sub(r"([,= ])", r"\\\1", text)
    return text + "/" if text.endswith("\\") else text
