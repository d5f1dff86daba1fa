"""Modbus: one device on Modbus TCP, read block by block; it only ever asks, nothing here can write."""

import asyncio
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from config.channels import ChannelTable
from config.errors import SettingsError, SourceLost
from config.forms import Seconds
from config.profiles import Profile
from gateway.registers import BIT_TABLES, Block, plan
from gateway.sources.base import Deliver, every
from ingest.readings import BAD, ReadingBatch

log = logging.getLogger(__name__)

BUSY = (5, 6)  # exception codes: acknowledge (still working on it), server device busy
ILLEGAL_ADDRESS = 2
REFUSALS = {  # Modbus Application Protocol V1.1b3, section 7
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
BUSY_PAUSE_S = 0.1


@dataclass(frozen=True)
class Modbus:
    """One device, read block by block; a refused block reads as bad quality, only silence loses the device.

    Readings carry the time of their poll, one for all points of the device. Polls lie on whole multiples of
    the period plus an offset that follows from the address, so that devices do not all answer at once.
    """

    host: str  # name or address of the device, or of the gateway in front of it
    place: str  # what its points belong to, such as gas.block3.riser: they feed channels "<place>.<point>"
    profile: Profile  # device model: a built-in name such as gas_rtu, or the path of a TOML file
    port: Annotated[int, Field(ge=1, le=65535)] = 502  # TCP port
    device_id: Annotated[int, Field(ge=1, le=255)] = 1  # unit on the bus behind that address
    period_s: Seconds = 1.0  # how often it is read; a point's own period_s goes before
    timeout_s: Seconds = 1.0  # longest wait for one answer, after which the device counts as lost
    pause_after_connect_s: Seconds = 0.0  # some devices drop what is asked in the first moment
    pause_s: Seconds = 0.0  # rest between two requests, for slow serial lines behind a gateway
    busy_retries: Annotated[int, Field(ge=0, le=10)] = 1  # repeats of a request that found the device busy

    lane: ClassVar[str] = "modbus"

    def __post_init__(self) -> None:
        mistakes = [
            f"{name} must be above 0" for name in ("period_s", "timeout_s") if getattr(self, name) <= 0
        ]
        if self.profile.protocol != "modbus":
            mistakes.append(f"profile {self.profile.name} is for {self.profile.protocol}, not for Modbus")
        if mistakes:
            raise SettingsError(mistakes)

    def __str__(self) -> str:
        return f"Modbus device {self.device_id} at {self.host}:{self.port} ({self.place})"

    def check(self, channels: ChannelTable) -> None:
        """SettingsError where its points cannot feed the site's channels."""
        plan(self.profile, self.place, channels)

    async def run(self, channels: ChannelTable, deliver: Deliver) -> None:
        """Connect and poll until the device is silent, which raises SourceLost."""
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it logs each missed answer; we, changes
        blocks = plan(self.profile, self.place, channels)
        client = AsyncModbusTcpClient(
            self.host, port=self.port, timeout=self.timeout_s, retries=0, reconnect_delay=0
        )
        try:
            await _Conversation(self, client, blocks).poll(deliver)
        except (ModbusException, OSError, TimeoutError) as error:
            silent = f"no usable answer within {self.timeout_s:g} s"
            raise SourceLost(silent if client.connected else "it closed the connection") from error
        finally:
            client.close()

    def offset_s(self, period_s: float) -> float:
        """Where in the period this device is read, in whole milliseconds; the same after every start."""
        steps = max(1, round(period_s * 1000))
        return zlib.crc32(f"{self.host}:{self.port}/{self.device_id}".encode()) % steps / 1000


class _Conversation:
    """What is going on over one connection: which blocks are read, and which of them are refused."""

    def __init__(self, device: Modbus, client: AsyncModbusTcpClient, blocks: Sequence[Block]) -> None:
        self.device = device
        self.client = client
        self.blocks = list(blocks)
        self.refused: dict[str, str] = {}  # block: the refusal that the log knows of

    async def poll(self, deliver: Deliver) -> None:
        """Read what is due, for ever; what was read before the device fell silent is delivered too."""
        beat_s = min(block.period_s or self.device.period_s for block in self.blocks)
        offset_s = self.device.offset_s(beat_s)
        last_ns: int | None = None
        async for due_ns in every(beat_s, deliver.now_ns, offset_s):
            read: list[ReadingBatch] = []
            await self._connected()
            try:
                for block in list(self.blocks):
                    if self._is_due(block, due_ns, last_ns, offset_s):
                        read += await self._read(block, due_ns)
            finally:
                if read:
                    deliver(ReadingBatch.joined(read))
            last_ns = due_ns

    async def _connected(self) -> None:
        """Connect where that is needed: at first, and when the device hung up between polls, as many do."""
        if self.client.connected:
            return
        if not await self.client.connect():
            raise SourceLost(f"no connection within {self.device.timeout_s:g} s")
        await asyncio.sleep(self.device.pause_after_connect_s)

    def _is_due(self, block: Block, due_ns: int, last_ns: int | None, offset_s: float) -> bool:
        """A block with a longer period than the beat is read when its own step of time begins."""
        period_ns = round((block.period_s or self.device.period_s) * 1e9)
        offset_ns = round(offset_s * 1e9)
        return last_ns is None or (due_ns - offset_ns) // period_ns != (last_ns - offset_ns) // period_ns

    async def _read(self, block: Block, time_ns: int) -> list[ReadingBatch]:
        """A block's readings; bad ones where the device refuses it or answers something else."""
        answer = await self._ask(block)
        if not answer.isError():
            content = answer.bits if block.table in BIT_TABLES else answer.registers
            if answer.function_code == block.function_code and len(content) >= block.count:
                self._note(block, "")
                values, quality = block.decode(content)
                return [ReadingBatch.of(block.channel, time_ns, values, quality)]
            self._note(block, f"answers {len(content)} values of function {answer.function_code}")
        else:
            code = answer.exception_code
            parts = block.split() if code == ILLEGAL_ADDRESS else ()
            if len(parts) > 1:  # it may lack only the registers between the points
                self.blocks[self.blocks.index(block) : self.blocks.index(block) + 1] = parts
                return [batch for part in parts for batch in await self._read(part, time_ns)]
            self._note(block, f"refuses with exception {code} ({REFUSALS.get(code, 'unknown')})")
        return [ReadingBatch.of(block.channel, time_ns, np.nan, BAD)]

    async def _ask(self, block: Block) -> Any:
        """The device's answer, asked again while it says that it is busy."""
        for attempt in range(self.device.busy_retries + 1):
            await asyncio.sleep(BUSY_PAUSE_S if attempt else self.device.pause_s)
            answer = await self._request(block)
            if not (answer.isError() and answer.exception_code in BUSY):
                break
        return answer

    async def _request(self, block: Block) -> Any:
        ask = {
            "coil": self.client.read_coils,
            "discrete": self.client.read_discrete_inputs,
            "holding": self.client.read_holding_registers,
            "input": self.client.read_input_registers,
        }[block.table]
        return await ask(block.address, count=block.count, device_id=self.device.device_id)

    def _note(self, block: Block, refusal: str) -> None:
        """Say once that a block is refused and why, and once that it is read again."""
        before = self.refused.get(repr(block), "")
        if refusal == before:
            return
        self.refused[repr(block)] = refusal
        if refusal:
            log.warning("%s: %r %s; its channels read as bad", self.device, block, refusal)
        else:
            log.info("%s: %r is read again", self.device, block)
