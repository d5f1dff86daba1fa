"""Damage: a casebook that the disk has spoilt costs what is spoilt, and is told of in plain words."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.alerts.centre.world import centre


def casebook(folder: Path) -> Path:
    return folder / "state" / "casebook.db"


def test_a_damaged_fact_costs_itself(tmp_path: Path) -> None:
    with centre(tmp_path, users={"li.wei": "staff"}) as there:
        gateway = there.gateway()
        whole, spoilt = gateway.alarm("water.whole"), gateway.alarm("water.spoilt")
        gateway.tell(whole.raised(), spoilt.raised())
        assert there.server is not None
        there.server.stop()
        with contextlib.closing(sqlite3.connect(casebook(tmp_path))) as db:
            db.execute("UPDATE fact SET data = X'7B22' WHERE incident = ?", (spoilt.key,))
            db.execute("UPDATE gateway SET heartbeat = X'7B22'")
            db.commit()
        there.server.start()
        page = there.person("li.wei").see()

        assert whole.incident in page
        assert spoilt.incident not in page
        assert f"of {spoilt.key}, is damaged and left out" in (tmp_path / "centre.log").read_text()


def test_a_casebook_whose_pages_are_damaged_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with centre(tmp_path) as there:
        there.gateway().tell(*(there.gateway().alarm(f"water.{n}").raised() for n in range(50)))
    content = bytearray(casebook(tmp_path).read_bytes())
    content[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
    casebook(tmp_path).write_bytes(content)
    command = [sys.executable, "-m", "gateway.cli", "centre", str(there.settings)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(casebook(tmp_path)) in done.stderr
