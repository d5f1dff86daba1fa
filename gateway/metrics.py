"""Metrics: a gateway's report as Prometheus reads it (text exposition format 0.0.4)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gateway.report import Report

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Samples = Iterable[tuple[Mapping[str, str], float | None]]


class Family(NamedTuple):
    """One metric; its name, without the prefix, ends with `_total` where it only ever rises."""

    name: str
    words: str
    samples: Samples


def exposition(report: Report) -> str:
    """All of it. Labels are bounded: lanes, reasons, couriers, receivers, sources and grades."""
    families = [*_ledger(report["ledger"]), *_waiting(report), *_well(report)]
    if report["live"] is not None:
        families += _live(report["live"])
    return "".join(map(_text, families))


def _ledger(ledger: Mapping[str, Any]) -> Iterator[Family]:
    lanes, couriers = ledger["lanes"], ledger["couriers"]
    yield Family("lane_received_total", "Readings received, by device.", _each("lane", lanes, "received"))
    yield Family("lane_durable_total", "Readings synced to the journal.", _each("lane", lanes, "durable"))
    yield Family("lane_duplicate_total", "Readings that were known.", _each("lane", lanes, "duplicate"))
    yield Family("lane_dropped_total", "Readings not kept.", _reasons("lane", lanes, "dropped"))
    letters = _reasons("lane", lanes, "undecodable")
    yield Family("lane_undecodable_messages_total", "Messages that could not be decoded.", letters)
    stored = _each("courier", couriers, "stored")
    yield Family("courier_stored_total", "Readings that reached the far store.", stored)
    pruned = _each("courier", couriers, "pruned")
    yield Family("courier_pruned_total", "Readings given up: the store was away for too long.", pruned)
    dead = _reasons("courier", couriers, "dead_lettered")
    yield Family("courier_dead_lettered_total", "Readings that the far store refused for good.", dead)
    withheld = _reasons("courier", couriers, "withheld")
    yield Family("courier_withheld_total", "Readings held back on purpose.", withheld)
    noted = _by("what", {what: n for what, n in ledger["journal"].items() if what not in ("kept", "removed")})
    words = "Readings of conflicting values, without a time of their own, thinned or lost; files put aside."
    yield Family("journal_noted_total", words, noted)
    balanced = _one(ledger["balanced"])
    yield Family("ledger_balanced", "1 while every reading is accounted for.", balanced)


def _waiting(report: Report) -> Iterator[Family]:
    couriers, receivers = report["couriers"], report["receivers"]
    pending = _each("courier", couriers, "pending")
    yield Family("courier_pending_readings", "Readings that wait for the far store.", pending)
    age = _each("courier", couriers, "age_s")
    yield Family("courier_pending_age_seconds", "How long the oldest of them has waited.", age)
    yield Family("outbox_waiting", "Changes not yet told.", _each("receiver", receivers, "waiting"))
    age = _each("receiver", receivers, "age_s")
    yield Family("outbox_age_seconds", "How long the oldest of them has waited.", age)
    refused = _each("receiver", receivers, "refused")
    yield Family("outbox_refused_total", "Changes that a receiver refused for good.", refused)


def _well(report: Report) -> Iterator[Family]:
    journal = report["journal"]
    yield Family("well", "1 while ticks progress and the journal can be written.", _one(report["well"]))
    yield Family("journal_bytes", "Size of the journal on disk.", _one(journal["bytes"]))
    yield Family("dead_letters", "Messages laid aside and kept.", _one(journal["dead_letters"]))


def _live(live: Mapping[str, Any]) -> Iterator[Family]:
    late, clock = live["tick_lateness_s"], live["clock"]
    lateness = [({"quantile": quantile}, late[name]) for quantile, name in QUANTILES]
    yield Family("uptime_seconds", "Since the start.", _one(live["uptime_s"]))
    yield Family("ticks_total", "Ticks committed since the start.", _one(live["ticks"]))
    yield Family("tick_lateness_seconds", "Lateness of the ticks of the last hour.", lateness)
    yield Family("last_tick_age_seconds", "Since the last tick.", _one(live["last_tick_age_s"]))
    yield Family("memory_bytes", "Resident memory.", _one(live["memory_bytes"]))
    yield Family("peak_memory_bytes", "The most resident memory so far.", _one(live["peak_memory_bytes"]))
    yield Family("alarms", "Open alarms.", _by("grade", live["alarms"]))
    flood = _one(live["alarm_flood"])
    yield Family("alarm_flood", "1 while more alarms come than people can take in.", flood)
    yield Family("learning", "1 while most channels are still new.", _one(live["learning"]))
    proof = _one(live["proof_of_life_age_s"])
    yield Family("proof_of_life_age_seconds", "Since the last sample that the centre confirmed.", proof)
    failed = _one(live["storage_failure"] != "")
    yield Family("storage_failed", "1 when the journal cannot be written any more.", failed)
    yield Family("source_up", "1 while a source answers.", _by("source", live["sources"]))
    trouble = _by("part", dict.fromkeys(live["waiting_for"], 1))
    yield Family("trouble", "1 for each part that waits for somebody far away.", trouble)
    yield Family("clock_good", "1 while the wall clock can be believed.", _one(clock["good"]))
    ahead = _one(clock["ahead_of_wall_s"])
    yield Family("clock_ahead_of_wall_seconds", "Stream time minus the wall clock.", ahead)
    epochs = _by("reason", clock["epochs"])
    yield Family("epochs_total", "How often stream time began anew.", epochs)
    off = _one(clock["devices_off"])
    yield Family("device_clocks_off", "Devices whose clock is off by more than 5 s.", off)


QUANTILES = (("0.5", "p50"), ("0.99", "p99"), ("1", "max"))


def _one(value: float | None) -> Samples:
    return [({}, value)]


def _by(label: str, values: Mapping[str, float]) -> Samples:
    return [({label: name}, value) for name, value in values.items()]


def _each(label: str, parts: Mapping[str, Any], what: str) -> Samples:
    return [({label: name}, part[what]) for name, part in parts.items()]


def _reasons(label: str, parts: Mapping[str, Any], what: str) -> Samples:
    return [
        ({label: name, "reason": why}, n) for name, part in parts.items() for why, n in part[what].items()
    ]


def _text(family: Family) -> str:
    """A metric without samples is left out."""
    name = f"watchline_{family.name}"
    kind = "counter" if name.endswith("_total") else "gauge"
    lines = [f"{name}{_labels(of)} {float(value)!r}\n" for of, value in family.samples if value is not None]
    return f"# HELP {name} {family.words}\n# TYPE {name} {kind}\n{''.join(lines)}" if lines else ""


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
