"""Bench of the journal's file: SQLite of the standard library, apsw, and an append-only segment log.

Run as `python -m tests.bench.journal`; it prints a table, ratios within one run. The same blobs (columns
packed by `ingest.columns`) are appended and synced one group after another, as the storage thread does.
"""

import os
import shutil
import sqlite3
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gateway.bench.site import district, seconds
from ingest.columns import decode, encode

HEADER = struct.Struct("<IIQ")  # length, CRC-32, arrival
SIZES = (20, 100, 500, 2_000)
GROUPS = 300
TABLE = "CREATE TABLE arrivals (id INTEGER PRIMARY KEY, second_ns INTEGER, readings INTEGER, columns BLOB)"


@dataclass
class Cost:
    """Of one way to write: per group CPU and wall in microseconds, bytes handed to the disk, and its size."""

    cpu_us: float
    wall_us: float
    written: float
    size: float
    read_us: float  # CPU per group, read back and unpacked


def blobs(size: int, groups: int) -> list[bytes]:
    """Groups of a site whose devices speak in no order."""
    table = district(2_000)
    numbers = np.arange(1, 2_001, dtype=np.int32)
    rng = np.random.default_rng(1)
    found: list[bytes] = []
    for second in seconds(table, groups * size // 2_000 + 1):
        order = rng.permutation(2_000)
        found += [encode(second.where(order[at : at + size]), numbers) for at in range(0, 2_000, size)]
    return found[:groups]


def sqlite_of(module: Any, page: int) -> Callable[[Path, list[bytes]], Callable[[], int]]:
    """WAL, synchronous=FULL, one transaction a group."""

    def write(path: Path, groups: list[bytes]) -> Callable[[], int]:
        standard = module is sqlite3
        connection = sqlite3.connect(path, isolation_level=None) if standard else module.Connection(str(path))
        for pragma in (f"page_size={page}", "journal_mode=WAL", "synchronous=FULL"):
            list(connection.execute(f"PRAGMA {pragma}"))
        connection.execute(f"PRAGMA wal_autocheckpoint={(8 << 20) // page}")
        connection.execute(TABLE)
        for number, blob in enumerate(groups):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO arrivals VALUES (?, ?, ?, ?)", (number, 0, 1, blob))
            connection.execute("COMMIT")
        connection.close()

        def read() -> int:
            again = sqlite3.connect(path) if standard else module.Connection(str(path))
            return sum(len(decode(blob)) for (blob,) in again.execute("SELECT columns FROM arrivals"))

        return read

    return write


def segment(path: Path, groups: list[bytes]) -> Callable[[], int]:
    """Length, CRC and blob appended, fdatasync; at start a scan finds the end of what is whole."""
    with path.open("ab", buffering=0) as out:
        for number, blob in enumerate(groups):
            out.write(HEADER.pack(len(blob), zlib.crc32(blob), number) + blob)
            os.fdatasync(out.fileno())

    def read() -> int:
        content, at, total = path.read_bytes(), 0, 0
        while at + HEADER.size <= len(content):
            length, checksum, _ = HEADER.unpack_from(content, at)
            blob = content[at + HEADER.size : at + HEADER.size + length]
            if zlib.crc32(blob) != checksum:
                break
            total += len(decode(blob))
            at += HEADER.size + length
        return total

    return read


def measured(write: Callable[[Path, list[bytes]], Callable[[], int]], groups: list[bytes]) -> Cost:
    """One run in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="watchline-journal-", dir=os.environ.get("TMPDIR")))
    try:
        before, cpu, wall = to_the_disk(), time.process_time(), time.perf_counter()
        read = write(folder / "journal", groups)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        written = to_the_disk() - before
        size = sum(file.stat().st_size for file in folder.iterdir())
        start = time.process_time()
        read()
        reading = time.process_time() - start
        count = len(groups)
        per = 1e6 / count
        return Cost(cpu * per, wall * per, written / count, size / count, reading * per)
    finally:
        shutil.rmtree(folder)


def to_the_disk() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("write_bytes")))


def main() -> None:
    ways: dict[str, Callable[[Path, list[bytes]], Callable[[], int]]] = {
        "segment log": segment,
        "sqlite3, pages of 4096": sqlite_of(sqlite3, 4096),
        "sqlite3, pages of 1024": sqlite_of(sqlite3, 1024),
    }
    try:
        import apsw

        ways[f"apsw ({apsw.sqlite_lib_version()}), 1024"] = sqlite_of(apsw, 1024)
    except ImportError:
        print("apsw is not installed: left out", file=sys.stderr)
    print(f"sqlite3 of the standard library: {sqlite3.sqlite_version}")
    head = ("a group of", "", "CPU us", "ratio", "wall us", "written B", "ratio", "file B", "read us")
    print("{:>10}  {:26} {:>8} {:>6} {:>8} {:>10} {:>6} {:>8} {:>8}".format(*head))
    for size in SIZES:
        groups = blobs(size, GROUPS)
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for _ in range(3):
            for name, write in ways.items():
                costs[name].append(measured(write, groups))
        best = {name: min(several, key=lambda cost: cost.cpu_us) for name, several in costs.items()}
        floor = best["segment log"]
        for name, cost in best.items():
            print(
                f"{size:>10,}  {name:26} {cost.cpu_us:8.0f} {cost.cpu_us / floor.cpu_us:6.2f}"
                f" {cost.wall_us:8.0f} {cost.written:10,.0f} {cost.written / floor.written:6.2f}"
                f" {cost.size:8,.0f} {cost.read_us:8.0f}"
            )


if __name__ == "__main__":
    main()
