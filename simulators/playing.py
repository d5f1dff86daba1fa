"""Playing: a scenario over real Modbus and MQTT in real time, and the settings of a gateway for it."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.channels import Channel
from config.errors import InputError
from simulators.district import write_channels, write_links
from simulators.instruments import by_place
from simulators.live import LiveWorld, call_when_told_to_stop
from simulators.modbus_site import answering
from simulators.play import Play
from simulators.record import write_truth
from simulators.scenarios import SECOND_NS, rfc3339
from simulators.sensors import over_mqtt
from simulators.site import read_site
from simulators.wristbands import publish_until

LEAD_S = 60  # from going live until the first thing happens, at least
WHOLE_S = 60  # live and in files, readings are taken at the same seconds of a minute
DEVICES_A_PORT = 240  # a Modbus address has 247 device ids


def lateness_ns(play: Play, now_ns: int, *, at_its_own_time: bool) -> int:
    """How much later than in its own time a scenario is played, so that its first event is about to begin."""
    request = play.request
    if at_its_own_time:
        if not request.start_ns <= now_ns < request.end_ns:
            raise InputError(
                f"--start {rfc3339(request.start_ns)}: played in its own time, the scenario lasts until "
                f"{rfc3339(request.end_ns)}, and it is {rfc3339(now_ns)}; leave --start out to begin now"
            )
        return 0
    begin_ns = max(play.first_ns - LEAD_S * SECOND_NS, request.start_ns)
    whole_ns = WHOLE_S * SECOND_NS
    return -(-(now_ns - begin_ns) // whole_ns) * whole_ns


def write_site(
    play: Play, folder: Path, late_ns: int, about: dict[str, Any], modbus: int, broker: str
) -> None:
    """Lists, truth, context, device profiles and gateway.toml: all that a gateway needs to watch it."""
    folder.mkdir(parents=True, exist_ok=True)
    world = play.world
    write_channels(folder / "channels.csv", world.channels)
    write_links(folder / "links.csv", world.links)
    write_truth(folder, world, (play.request.start_ns, play.request.end_ns), about, play.planned, late_ns)
    (folder / "profiles").mkdir(exist_ok=True)
    profiles: dict[str, str] = {}
    sources: list[str] = []
    for place, channels in by_place(world.channels.channels).items():
        polled = [channel for channel in channels if not over_mqtt(channel)]
        if not polled:
            continue
        text = _profile(place, polled)
        name = profiles.setdefault(text, f"device{len(profiles) + 1}")
        (folder / "profiles" / f"{name}.toml").write_text(text, encoding="utf-8")
        number = len(sources)
        sources.append(
            f'[[source]]\nkind = "modbus"\nplace = "{place}"\nprofile = "profiles/{name}.toml"\n'
            f'host = "127.0.0.1"\nport = {modbus + number // DEVICES_A_PORT}\n'
            f"device_id = {number % DEVICES_A_PORT + 1}\n"
            f"period_s = {min(channel.period_s for channel in polled):g}\n"
        )
    if any(over_mqtt(channel) for channel in world.channels.channels):
        host, _, port = broker.rpartition(":")
        sources.append(f'[[source]]\nkind = "mqtt"\nhost = "{host}"\nport = {port}\n')
    head = (
        f'[site]\nid = "{site_id(play)}"\nname = "{play.entry.title}"\nchannels = "channels.csv"\n'
        'links = "links.csv"\ncontext = "context.json"\n'
    )
    (folder / "gateway.toml").write_text("\n".join([head, *sources]), encoding="utf-8")


def site_id(play: Play) -> str:
    """The scenario's name as the name of a site."""
    return play.entry.name.replace("/", "-").replace("_", "-")


def play_live(play: Play, folder: Path, late_ns: int, broker: str, said: Mapping[str, Any]) -> None:
    """Answer polls and publish until it is over or someone says stop; prints one JSON line when ready."""
    live = LiveWorld(read_site(folder), play.request.seed, None, world=play.world, late_ns=late_ns)
    sends = any(over_mqtt(channel) for channel in play.world.channels.channels)
    host, _, port = broker.rpartition(":")
    if sends:
        _try_broker(host, int(port))
    live.row(time.time_ns())  # solved before anyone asks
    asyncio.run(_play(live, play.request.end_ns + late_ns, (host, int(port)) if sends else None, dict(said)))


async def _play(live: LiveWorld, end_ns: int, broker: tuple[str, int] | None, said: dict[str, Any]) -> None:
    stop, over = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        async with answering(live, "127.0.0.1", None) as ports:
            call_when_told_to_stop(lambda: loop.call_soon_threadsafe(stop.set), with_stdin=False)
            if broker is not None:
                sender = threading.Thread(
                    target=publish_until, name="sender",
                    args=(over, live, *broker, lambda told: loop.call_soon_threadsafe(ready.set)),
                )  # fmt: skip
                sender.start()
                first = [asyncio.ensure_future(event.wait()) for event in (ready, stop)]
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
                for waiting in first:
                    waiting.cancel()
            at = sorted({int(address.rpartition(":")[2]) for address in ports})
            print(json.dumps(said | {"modbus_ports": at, "ends": rfc3339(end_ns)}), flush=True)
            left_s = max(0.0, (end_ns - time.time_ns()) / SECOND_NS)
            try:
                await asyncio.wait_for(stop.wait(), left_s)
            except TimeoutError:
                print(json.dumps({"over": True}), flush=True)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"cannot listen for Modbus: {error}; choose other ports with --modbus-port"
        ) from error
    finally:
        over.set()


def _try_broker(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), 5.0).close()
    except OSError as error:
        raise InputError(
            f"no MQTT broker answers at {host}:{port} ({error.strerror or error}); start one, such as "
            f"mosquitto -p {port}, or name another with --broker HOST:PORT"
        ) from error


def _profile(place: str, channels: list[Channel]) -> str:
    """A device with one float of two registers for each of its channels."""
    parts = ['title = "Simulated device"\nprotocol = "modbus"\naddress_base = 0\n']
    for number, channel in enumerate(channels):
        name = channel.id.removeprefix(f"{place}.")
        parts.append(
            f'[[point]]\nname = "{name}"\nquantity = "{channel.quantity}"\nunit = "{channel.unit}"\n'
            f'table = "input"\naddress = {2 * number}\ntype = "float32"\nperiod_s = {channel.period_s:g}\n'
        )
    return "\n".join(parts)
