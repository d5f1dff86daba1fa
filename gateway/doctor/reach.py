"""Reach: whether devices, InfluxDB and the centre can be reached, by asking what changes nothing."""

import asyncio
import email.utils
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from config.channels import ChannelTable
from config.errors import SourceLost
from config.load import SiteFiles
from config.settings import Centre, Influx
from gateway.doctor.complaint import Complaint, advice, fine, problem
from gateway.sources.mqtt import Mqtt
from ingest.readings import ReadingBatch

PATIENCE_S = 5.0
AT_ONCE = 32  # devices asked at a time
SIGNATURE_S = 300.0  # a centre refuses signatures that are older or younger (Standard Webhooks)
SKEWED_S = 60.0


def examine(site: SiteFiles, *, running: bool) -> Iterator[Complaint]:
    """A device that a running gateway reads is left alone: many talk to one at a time."""
    devices = [source for source in site.sources if not isinstance(source, Mqtt)]
    if devices and running:
        yield fine("devices", f"{len(devices)} are read by the running gateway; watchline status says how")
    elif devices:
        yield from asyncio.run(_devices(devices, site.channels))
    if site.settings.influxdb is not None:
        yield from _influx(site.settings.influxdb)
    if site.settings.centre is not None:
        yield from _centre(site.settings.centre)


async def _devices(devices: Sequence[Any], channels: ChannelTable) -> list[Complaint]:
    """Each is read once, as the gateway would."""
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(device: Any) -> Complaint | None:
        async with places:
            trouble = await _read_once(device, channels)
        return problem(str(device), trouble, "check cable, address and device_id") if trouble else None

    found = [complaint for complaint in await asyncio.gather(*map(ask, devices)) if complaint]
    answer = len(devices) - len(found)
    return [*found, fine("devices", f"{answer} of {len(devices)} answer")]


async def _read_once(device: Any, channels: ChannelTable) -> str:
    """Why it cannot be read; "" where it can."""
    first = _First()
    task = asyncio.ensure_future(device.run(channels, first))
    came = asyncio.ensure_future(first.came.wait())
    try:
        patience_s = PATIENCE_S + float(getattr(device, "timeout_s", 0.0))
        await asyncio.wait({task, came}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if first.came.is_set():
            return ""
        if not task.done():
            return f"no reading within {patience_s:g} s"
        error = task.exception()
        return str(error) if isinstance(error, SourceLost) else f"{type(error).__name__}: {error}"
    finally:
        for one in (task, came):
            one.cancel()
        await asyncio.gather(task, came, return_exceptions=True)


class _First:
    """Takes the first readings of a source and forgets them."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def __call__(self, batch: ReadingBatch) -> None:
        self.came.set()

    def now_ns(self) -> int:
        return time.time_ns()


def _influx(influx: Influx) -> Iterator[Complaint]:
    """By writing nothing: an empty body is answered as a full one would be, by whoever checks the token."""
    buckets = [(influx.bucket, influx.token)]
    if influx.wristband_bucket is not None:
        buckets.append((influx.wristband_bucket, influx.wristband_token))
    for bucket, token in buckets:
        address = f"{influx.url}/api/v2/write?org={quote(influx.org)}&bucket={quote(bucket)}&precision=ns"
        headers = {"Authorization": f"Token {token.reveal()}"} if token else {}
        status, _, said = _http(urllib.request.Request(address, b"", headers, method="POST"))
        if status is None:
            yield problem("influxdb", f"{influx.url} cannot be reached: {said}", "start it, or correct url")
            return
        if status in (401, 403):
            yield problem(
                "influxdb", f'its token may not write bucket "{bucket}" ({status})', "correct the token"
            )
        elif status == 404:
            yield problem("influxdb", f'there is no bucket "{bucket}" or no such org (404)', "create it")
        elif status >= 500:
            yield problem("influxdb", f"answers {status}: {said}", "look at its log")
        elif status < 400 and status != 204:
            yield problem(
                "influxdb", f"{influx.url} answers {status} to a write, as no InfluxDB does", "correct url"
            )
        else:
            yield fine("influxdb", f'takes bucket "{bucket}"')


def _centre(centre: Centre) -> Iterator[Complaint]:
    status, headers, said = _http(urllib.request.Request(f"{centre.url}/healthz"))
    if status is None:
        yield problem("centre", f"{centre.url} cannot be reached: {said}", "start it, or correct url")
        return
    if status != 200:
        yield problem(
            "centre", f"{centre.url}/healthz answers {status}: {said}", "check url, and what is between"
        )
        return
    off_s = _clock_off_s(headers.get("date", ""))
    if off_s is not None and abs(off_s) > SKEWED_S:
        level = problem if abs(off_s) > SIGNATURE_S else advice
        yield level(
            "centre",
            f"its clock and ours differ by {abs(off_s):.0f} s; from {SIGNATURE_S:.0f} s on it refuses us",
            "let a time server keep both clocks",
        )
    yield fine("centre", f"{centre.url} answers")


def _clock_off_s(date: str) -> float | None:
    try:
        return time.time() - email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def _http(request: urllib.request.Request) -> tuple[int | None, dict[str, str], str]:
    """(status, headers in lower case, what was said); status None where nobody answers."""
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, ""
    except urllib.error.HTTPError as error:
        return error.code, {}, _message(error.read(2000))
    except urllib.error.URLError as error:
        return None, {}, str(getattr(error.reason, "strerror", None) or error.reason)
    except http.client.HTTPException as error:
        return None, {}, f"what answers does not speak HTTP ({type(error).__name__})"
    except (OSError, ValueError) as error:
        return None, {}, str(error)


def _message(body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()
    try:
        plain = json.loads(text)
        return str(plain.get("message") or plain.get("error") or text)
    except (ValueError, AttributeError, RecursionError):
        return text[:200]
