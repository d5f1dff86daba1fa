"""Strangers: devices that only the examples of the documentation know, each run as a process of its own.

`python -m tests.strangers meter PORT` is an Acme PM210, `… lines PORT` a data logger that speaks plain text.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from tests.parts import Server, free_port

HOLDING = [2301, 0xFFFF, 0x869F, 0xFFFF, 0x4148, 0x0000]  # 230.1 V; -31.073 A, words swapped; 12.5 kW
INPUT = [712, 0, 140]  # 71.2 - 50 = 21.2 Cel; 140 mm


def stranger(kind: str, folder: Path) -> Server:
    """The device, ready to be started on a free port."""
    port = free_port()
    return Server([sys.executable, "-m", "tests.strangers", kind, str(port)], port, folder / f"{kind}.log")


async def meter(port: int) -> None:
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    holding = [SimData(0, values=HOLDING, datatype=DataType.REGISTERS)]
    inputs = [SimData(0, values=INPUT, datatype=DataType.REGISTERS)]
    unit = SimDevice(1, simdata=(bits, bits, holding, inputs))
    await ModbusTcpServer([unit], address=("127.0.0.1", port)).serve_forever()


async def lines(port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"pressure=301.2;ch4=0.4;humidity=55\npressure=----;noise\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["meter", "lines"])
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    asyncio.run({"meter": meter, "lines": lines}[given.kind](given.port))
