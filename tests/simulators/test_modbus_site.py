"""The Modbus devices of a site, read over real Modbus."""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from config.profiles import read_profile
from gateway.registers import plan
from simulators.district import demo_district
from simulators.scenarios import SECOND_NS, rfc3339
from simulators.world import World
from tests.parts import binary, free_port
from tests.simulators.processes import Simulator, refusal, simulator

SEED = 7
DISTRICT = demo_district(10.0)
CHANNELS = DISTRICT.channels
WORLD = World(CHANNELS, DISTRICT.links, SEED)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    DISTRICT.write(folder, site="demo", modbus_port=5020, mqtt_port=1883)
    return folder


@pytest.fixture(scope="module")
def devices(site: Path) -> Iterator[Simulator]:
    arguments = ("--port", "0", "--seed", str(SEED), "--script", str(site / "script.json"))
    with simulator("modbus_site", site, *arguments) as running:
        yield running


@pytest.fixture
def client(devices: Simulator, site: Path) -> Iterator[ModbusTcpClient]:
    (site / "script.json").unlink(missing_ok=True)
    with ModbusTcpClient("127.0.0.1", port=devices.ready["port"], timeout=5, retries=0) as client:
        yield client


def device_id(place: str) -> int:
    return next(number for at, _, number in DISTRICT.devices if at == place)


def methane(client: ModbusTcpClient, place: str) -> float:
    """%LEL in a well, by its register."""
    return client.read_input_registers(2, count=1, device_id=device_id(place)).registers[0] / 10


def played(site: Path, kind: str, place: str, size: float = 0.0) -> None:
    """Write a script in which this has been going on for a minute, and let a new second begin."""
    start = rfc3339(time.time_ns() - 60 * SECOND_NS)
    row = {"kind": kind, "place": place, "start": start, "seconds": 600, "size": size}
    (site / "script.json").write_text(json.dumps([row]))
    time.sleep(1.05)


def shown(
    before_ns: int, after_ns: int, numbers: Sequence[int]
) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """What the world shows in each second that lies between two moments."""
    seconds = range(before_ns // SECOND_NS, after_ns // SECOND_NS + 1)
    return [WORLD.values(np.array([second * SECOND_NS]), numbers)[0] for second in seconds]


def test_a_live_poll_equals_the_file_at_that_moment(client: ModbusTcpClient) -> None:
    for place, profile_name, number in DISTRICT.devices:
        for block in plan(read_profile(profile_name), place, CHANNELS):
            read = client.read_input_registers if block.table == "input" else client.read_holding_registers
            before_ns = time.time_ns()
            answer = read(block.address, count=block.count, device_id=number)
            after_ns = time.time_ns()

            assert not answer.isError(), f"{place}: {answer}"
            values, _ = block.decode(answer.registers)
            resolution = CHANNELS.resolution[block.channel]
            rounded = np.round(np.round(values / resolution) * resolution, 9)
            assert any(
                (rounded == row).all() for row in shown(before_ns, after_ns, block.channel.tolist())
            ), place


@pytest.mark.parametrize(
    ("place", "arguments", "channels"),
    [
        ("water.north.inlet", "-t 3:float -B -c 2", ["water.north.inlet.pressure", "water.north.inlet.flow"]),
        ("power.centre.market", "-t 4:float -c 1", ["power.centre.market.voltage_a"]),
    ],
)
def test_an_independent_peer_reads_the_same(
    devices: Simulator, client: ModbusTcpClient, place: str, arguments: str, channels: list[str]
) -> None:
    port = str(devices.ready["port"])
    command = [
        binary("mbpoll"),
        "-m",
        "tcp",
        "-p",
        port,
        "-a",
        str(device_id(place)),
        "-0",
        "-r",
        "0",
        "-1",
        "-q",
    ]
    before_ns = time.time_ns()
    said = subprocess.run(
        [*command, *arguments.split(), "127.0.0.1"], capture_output=True, text=True, check=True
    )
    after_ns = time.time_ns()

    read = [float(value) for value in re.findall(r"^\[\d+\]:\s+(\S+)", said.stdout, re.MULTILINE)]
    numbers = [CHANNELS.number[id] for id in channels]
    assert any(np.allclose(read, row, rtol=1e-5) for row in shown(before_ns, after_ns, numbers)), said.stdout


def test_what_has_no_sensor_reads_as_nothing_measured(client: ModbusTcpClient) -> None:
    answer = client.read_input_registers(0, count=4, device_id=device_id("gas.north.well"))

    assert answer.registers[1] == 0x8000  # no outlet pressure in a well
    assert answer.registers[3] == 0x8000


def test_nothing_can_be_written(client: ModbusTcpClient) -> None:
    answer = client.write_register(0, 1, device_id=device_id("power.centre.market"))

    assert answer.isError()
    assert answer.exception_code == 1


def test_an_address_or_table_that_is_not_there_is_refused(client: ModbusTcpClient) -> None:
    assert client.read_input_registers(400, count=2, device_id=1).exception_code == 2
    assert client.read_coils(0, count=1, device_id=1).exception_code == 1


def test_an_event_may_be_added_while_the_site_runs(client: ModbusTcpClient, site: Path) -> None:
    assert methane(client, "gas.centre.well") < 5

    played(site, "third_party_damage", "gas.centre.well", 70.0)

    assert methane(client, "gas.centre.well") > 25


def test_a_broken_script_leaves_the_site_as_it_was(client: ModbusTcpClient, site: Path) -> None:
    played(site, "third_party_damage", "gas.centre.well", 70.0)
    assert methane(client, "gas.centre.well") > 25

    (site / "script.json").write_text("[{")
    time.sleep(1.05)

    assert methane(client, "gas.centre.well") > 25
    assert "script.json:1: not JSON" in (site / "modbus_site.log").read_text()


def test_a_dead_device_is_silent_and_the_others_are_not(
    client: ModbusTcpClient, devices: Simulator, site: Path
) -> None:
    played(site, "sensor_fault:dropout", "water.north.inlet")

    with (
        ModbusTcpClient("127.0.0.1", port=devices.ready["port"], timeout=0.5, retries=0) as hasty,
        pytest.raises(ModbusIOException),
    ):
        hasty.read_input_registers(0, count=2, device_id=device_id("water.north.inlet"))
    assert not client.read_input_registers(0, count=2, device_id=device_id("water.north.school")).isError()


def test_a_slow_device_takes_its_time(client: ModbusTcpClient, site: Path) -> None:
    played(site, "device:slow", "water.north.inlet", 0.7)

    start = time.monotonic()
    answer = client.read_input_registers(0, count=2, device_id=device_id("water.north.inlet"))

    assert not answer.isError()
    assert time.monotonic() - start > 0.6


def test_a_refusing_device_answers_with_an_exception(client: ModbusTcpClient, site: Path) -> None:
    played(site, "device:refuse", "water.north.inlet")

    answer = client.read_input_registers(0, count=2, device_id=device_id("water.north.inlet"))

    assert answer.exception_code == 4


@pytest.mark.parametrize("end", ["stopped", "abandoned"])
def test_it_ends_when_told_or_when_its_parent_dies(site: Path, end: str) -> None:
    with simulator("modbus_site", site, "--port", "0") as running:
        assert getattr(running, end)() == 0


def test_devices_of_several_addresses_get_a_port_each(tmp_path: Path) -> None:
    DISTRICT.write(tmp_path, site="demo", modbus_port=5020, mqtt_port=1883)
    settings = tmp_path / "gateway.toml"
    settings.write_text(settings.read_text().replace("port = 5020", "port = 5021", 1))

    with simulator("modbus_site", tmp_path, "--port", "0") as running:
        ports = running.ready["ports"]
    assert sorted(ports) == ["127.0.0.1:5020", "127.0.0.1:5021"]
    assert len(set(ports.values())) == 2

    code, said = refusal("modbus_site", str(tmp_path), "--port", str(free_port()))
    assert (code, "use --port 0" in said) == (2, True)


def test_a_folder_without_a_site_is_refused(tmp_path: Path) -> None:
    code, said = refusal("modbus_site", str(tmp_path), "--port", "0")

    assert code == 2
    assert "gateway.toml" in said
    assert "Traceback" not in said
