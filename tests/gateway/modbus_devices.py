"""Modbus devices for tests, each a process of its own: pymodbus's server, and pyModbusTCP's.

Both hold in their holding registers 0..199 the number 100 + address, from 200 on the four byte orders of
the float 123.456, and in coils 0..15 every third bit. Run as `python -m tests.gateway.modbus_devices …`.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.parts import Server, free_port, running

FLOATS = (0x42F6, 0xE979, 0xE979, 0x42F6, 0xF642, 0x79E9, 0x79E9, 0xF642)  # ABCD CDAB BADC DCBA
REGISTERS = [*range(100, 300), *FLOATS]
COILS = [bit % 3 == 0 for bit in range(16)]


@contextlib.contextmanager
def device(
    folder: Path, library: str = "pymodbus", *options: str, port: int | None = None
) -> Iterator[Server]:
    """A device in another process; options as below."""
    port = port or free_port()
    cmd = [sys.executable, "-m", "tests.gateway.modbus_devices", library, str(port), *options]
    with running(cmd, port, folder / f"{library}-{port}.log") as server:
        yield server


async def _pymodbus(port: int, options: argparse.Namespace) -> None:
    from pymodbus.constants import ExcCodes
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    polls = 0

    async def act(
        function: int, start: int, address: int, count: int, registers: list[int], values: object
    ) -> ExcCodes | None:
        nonlocal polls
        polls += 1
        await asyncio.sleep(options.delay)
        if options.busy and polls % 2:
            return ExcCodes.DEVICE_BUSY
        if options.refuse is not None and address <= options.refuse < address + count:
            return ExcCodes.ILLEGAL_ADDRESS
        return None

    words = [SimData(0, values=REGISTERS, datatype=DataType.REGISTERS)]
    bits = [SimData(0, values=COILS, datatype=DataType.BITS)]
    unit = SimDevice(1, simdata=(bits, bits, words, words), action=act)
    await ModbusTcpServer([unit], address=("127.0.0.1", port)).serve_forever()


def _pymodbustcp(port: int) -> None:
    from pyModbusTCP.server import DataBank, ModbusServer

    bank = DataBank(h_regs_size=len(REGISTERS), i_regs_size=len(REGISTERS), coils_size=16, d_inputs_size=16)
    bank.set_holding_registers(0, REGISTERS)
    bank.set_input_registers(0, REGISTERS)
    bank.set_coils(0, COILS)
    bank.set_discrete_inputs(0, COILS)
    ModbusServer("127.0.0.1", port, data_bank=bank).start()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=["pymodbus", "pymodbustcp"])
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--refuse", type=int, help="a register that it has not got")
    parser.add_argument("--busy", action="store_true", help="every other answer is 'busy'")
    given = parser.parse_args()
    if given.library == "pymodbus":
        asyncio.run(_pymodbus(given.port, given))
    else:
        _pymodbustcp(given.port)
