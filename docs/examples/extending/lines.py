"""Lines: a data logger that speaks plain text over TCP, one line a measurement: `pressure=301.2;flow=44`."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from config.channels import ChannelTable
from config.errors import SettingsError, SourceLost
from config.forms import Seconds
from gateway.sources.base import Deliver
from ingest.readings import BAD, GOOD, ReadingBatch

log = logging.getLogger(__name__)

DIAL_S = 5.0


@dataclass(frozen=True)
class Lines:
    """Whatever the logger sends feeds `<place>.<name>`, in that channel's unit; `name=` is a bad reading.

    The logger sends on its own; one that says nothing for `silent_s` counts as lost and is dialled again.
    """

    host: str  # name or address of the logger
    place: str  # what its values belong to: they feed channels "<place>.<name>"
    port: Annotated[int, Field(ge=1, le=65535)] = 4001  # TCP port
    silent_s: Seconds = 30.0  # longest time between two lines

    lane: ClassVar[str] = "lines"  # its line in the ledger

    def __str__(self) -> str:
        return f"logger at {self.host}:{self.port} ({self.place})"

    def check(self, channels: ChannelTable) -> None:
        """SettingsError where nothing on the site could be fed; asked before anything is started."""
        if not len(channels.at_place(self.place)):
            raise SettingsError(f'no channel of channels.csv belongs to place "{self.place}"')

    async def run(self, channels: ChannelTable, deliver: Deliver) -> None:
        """Connect and listen until the logger is silent or hangs up, which raises SourceLost."""
        try:
            async with asyncio.timeout(DIAL_S):
                reader, writer = await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError) as error:
            raise SourceLost(f"no connection within {DIAL_S:g} s") from error
        try:
            await self._listen(reader, channels, deliver)
        except TimeoutError as error:
            raise SourceLost(f"no line for {self.silent_s:g} s") from error
        except (OSError, ValueError) as error:  # ValueError: 64 KiB came without an end of line
            raise SourceLost(f"what it sends cannot be read: {error}") from error
        finally:
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader, channels: ChannelTable, deliver: Deliver) -> None:
        unknown: set[str] = set()  # names that the log has told of
        while True:
            async with asyncio.timeout(self.silent_s):
                line = await reader.readline()
            if not line.endswith(b"\n"):
                raise SourceLost("it closed the connection")
            numbers, values = [], []
            for name, value in _measured(line):
                number = channels.number.get(f"{self.place}.{name}")
                if number is not None:
                    numbers.append(number)
                    values.append(value)
                elif name not in unknown and len(unknown) < 100:
                    unknown.add(name)
                    log.warning('%s sends "%.40s", for which there is no channel', self, name)
            if numbers:
                quality = np.where(np.isfinite(values), GOOD, BAD)
                deliver(ReadingBatch.of(numbers, deliver.now_ns(), values, quality))


def _measured(line: bytes) -> list[tuple[str, float]]:
    """(name, value) of each part; NaN for a value that is no number."""
    found = []
    for part in line.decode("ascii", "replace").strip().split(";"):
        name, sign, text = part.partition("=")
        if sign:
            try:
                value = float(text)
            except ValueError:
                value = np.nan
            found.append((name.strip(), value if np.isfinite(value) else np.nan))
    return found
