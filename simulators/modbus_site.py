"""Modbus site: every Modbus device of a site in one process; registers are worked out as they are read."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from config.channels import ChannelTable
from config.errors import SettingsError
from config.profiles import Point
from config.quantities import conversion
from simulators.live import LiveWorld, call_when_told_to_stop
from simulators.registers import table
from simulators.site import ModbusDevice, read_site

_TABLE_OF_FUNCTION = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


@dataclass(frozen=True)
class _Feed:
    """Where a point's value comes from: value in the point's unit = channel's value * scale + offset."""

    number: int
    scale: float
    offset: float


class Device:
    """One simulated device: as its profile lays it out, as fast and as willing as the script says."""

    def __init__(self, device: ModbusDevice, live: LiveWorld) -> None:
        self.device = device
        self.live = live
        self.asked = 0
        self.feeds = _feeds(device, live.site.channels)

    def layout(self) -> SimDevice:
        """What pymodbus serves: each table from its first to its last register, gaps included."""
        tables = {name: self._extent(name) for name in ("coil", "discrete", "holding", "input")}
        bits = [
            [SimData(first * 16, values=[False] * 16 * count, datatype=DataType.BITS)]
            for first, count in (tables["coil"], tables["discrete"])
        ]
        registers = [
            [SimData(first, values=[0] * count, datatype=DataType.REGISTERS)]
            for first, count in (tables["holding"], tables["input"])
        ]
        return SimDevice(
            self.device.device_id, (bits[0], bits[1], registers[0], registers[1]), action=self.answer
        )

    async def answer(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """pymodbus asks before each answer: bring the registers up to this moment, or behave badly."""
        name = _TABLE_OF_FUNCTION.get(function)
        if written is not None or name is None or not any(point.table == name for point in self.feeds):
            return (
                ExcCodes.ILLEGAL_FUNCTION
            )  # nothing here can be written; a table without points is not there
        now_ns = time.time_ns()
        row = self.live.row(now_ns)
        self.asked += 1
        turn, place = self.asked, self.device.place
        if self.live.running("sensor_fault:dropout", place, now_ns):
            raise NoSuchIdException("dead")  # which pymodbus takes as: say nothing
        if slow := self.live.running("device:slow", place, now_ns):
            await asyncio.sleep(slow.size)
            if self.asked != turn:
                raise NoSuchIdException("overtaken")  # pymodbus would answer under the later request's number
        if self.live.running("device:refuse", place, now_ns):
            return ExcCodes.DEVICE_FAILURE
        values = {
            point: float("nan") if feed is None else row[feed.number] * feed.scale + feed.offset
            for point, feed in self.feeds.items()
        }
        registers[: len(registers) - 1] = table(values, name, start, len(registers) - 1)
        return None

    def _extent(self, name: str) -> tuple[int, int]:
        """First register and number of registers of a table; one where the profile has none."""
        points = [point for point in self.feeds if point.table == name]
        if not points:
            return 0, 1
        share = 16 if name in ("coil", "discrete") else 1
        first = min(point.address // share for point in points)
        last = max((point.address + point.words - 1) // share for point in points)
        return first, last - first + 1


def _feeds(device: ModbusDevice, channels: ChannelTable) -> Mapping[Point, _Feed | None]:
    """The channel behind each point of the device; None where the site lists none: no sensor is connected."""
    feeds: dict[Point, _Feed | None] = {}
    for point in device.profile.points:
        number = channels.number.get(f"{device.place}.{point.name}")
        feeds[point] = (
            None if number is None else _Feed(number, *conversion(channels[number].unit, point.unit))
        )
    return feeds


async def serve(live: LiveWorld, host: str, port: int | None, *, with_stdin: bool) -> None:
    """Serve until told to stop. Prints one JSON line with the bound ports once every device answers.

    port None: each device at the port of gateway.toml; 0: any free port for each of those; else that one.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    call_when_told_to_stop(lambda: loop.call_soon_threadsafe(stop.set), with_stdin=with_stdin)
    async with answering(live, host, port) as ports:
        print(json.dumps({"port": next(iter(ports.values()), None), "ports": ports}), flush=True)
        await stop.wait()


@asynccontextmanager
async def answering(live: LiveWorld, host: str, port: int | None) -> AsyncIterator[dict[str, int]]:
    """Every device answers; yields the bound port of each address. port: as `serve`."""
    by_address: dict[tuple[str, int], list[Device]] = {}
    for device in live.site.devices:
        by_address.setdefault((device.host, device.port), []).append(Device(device, live))
    if port and len(by_address) > 1:
        raise SettingsError(f"--port {port}: the devices stand at {len(by_address)} addresses; use --port 0")
    servers: list[ModbusTcpServer] = []
    ports = {}
    try:
        for (at_host, at_port), devices in by_address.items():
            server = ModbusTcpServer(
                [device.layout() for device in devices],
                address=(host, at_port if port is None else port),
                ignore_missing_devices=True,
            )
            await server.serve_forever(background=True)
            servers.append(server)
            ports[f"{at_host}:{at_port}"] = _bound_port(server)
        yield ports
    finally:
        for server in servers:
            server.close()


def _bound_port(server: ModbusTcpServer) -> int:
    listening: Any = server.transport  # asyncio's server, once it listens
    port: int = listening.sockets[0].getsockname()[1]
    return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the Modbus devices of a site (a folder with gateway.toml and its lists) in real time."""
    parser = argparse.ArgumentParser(prog="python -m simulators.modbus_site", description=main.__doc__)
    parser.add_argument("site", type=Path, help="folder with gateway.toml")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="0: any free port (default: the ports of gateway.toml)")
    parser.add_argument(
        "--script", type=Path, help="what happens when, a JSON list; read again when it changes"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--with-stdin", action="store_true", help="stop when stdin closes")
    given = parser.parse_args(arguments)
    try:
        live = LiveWorld(read_site(given.site), given.seed, given.script)
        asyncio.run(serve(live, given.host, given.port, with_stdin=given.with_stdin))
    except SettingsError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 2
    except (OSError, RuntimeError) as error:
        print(f"cannot listen: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
