"""The command `watchline centre`: starts, says where, ends tidily; adds users; says what is wrong."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.alerts.centre.world import PASSWORD, Centre, centre, until
from tests.parts import free_port

COMMAND = [sys.executable, "-m", "gateway.cli", "centre"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_tidily_with_pages_open(tmp_path: Path, how: signal.Signals) -> None:
    with centre(tmp_path, users={"wang": "staff"}) as there:
        assert there.server is not None
        assert there.server.process is not None
        person = there.person("wang")
        until(lambda: f"linkage centre at {there.url}/" in there.server.log.read_text())
        page = subprocess.Popen(
            ["curl", "-sN", f"{there.url}/events", "-b", f"watchline={person.cookies['watchline']}"],
            stdout=subprocess.PIPE,
        )
        assert page.stdout is not None
        assert page.stdout.readline().startswith(b"retry")
        began = time.monotonic()
        there.server.process.send_signal(how)

        assert there.server.process.wait(20) == 0
        assert time.monotonic() - began < 5
        page.wait(10)
        assert "Traceback" not in there.server.log.read_text()
        there.server.process = None


def test_users_are_added_from_standard_input(tmp_path: Path) -> None:
    with centre(tmp_path) as there:
        added = there.add_user("li.wei", "administrator")
        again = there.add_user("li.wei")
        short = there.add_user("li.na", password="short")

        assert (added.returncode, again.returncode, short.returncode) == (0, 2, 2)
        assert added.stdout == "added li.wei as administrator\n"
        assert "already" in again.stderr
        assert "8 to 256" in short.stderr
        assert "Traceback" not in again.stderr + short.stderr
        assert PASSWORD not in added.stdout + added.stderr
        assert "管理" in there.person("li.wei").see()


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=60, input="")


def test_what_stops_the_start_is_said_in_a_line(tmp_path: Path) -> None:
    with centre(tmp_path) as there:
        taken = run(there.settings)
        assert taken.returncode == 2
        assert f"[listen] cannot listen on 127.0.0.1:{there.port}" in taken.stderr

    broken = tmp_path / "state" / "casebook.db"
    for leftover in broken.parent.glob("casebook.db-*"):
        leftover.unlink()
    broken.write_bytes(b"this is no database, and was none before" * 100)
    unusable = run(there.settings)
    assert unusable.returncode == 2
    assert "[store] path" in unusable.stderr

    role = run(there.settings, "--role", "staff")
    assert role.returncode == 2
    assert "--role goes with --add-user" in role.stderr
    assert "Traceback" not in taken.stderr + unusable.stderr + role.stderr


def test_the_centres_own_name_cannot_be_a_gateways(tmp_path: Path) -> None:
    key = tmp_path / "a.key"
    key.write_text("whsec_" + "A" * 43 + "=")
    key.chmod(0o600)
    settings = tmp_path / "centre.toml"
    settings.write_text(
        f'[listen]\nport = {free_port()}\n[store]\npath = "c.db"\n'
        '[[gateway]]\nid = "centre"\nsecret = { file = "a.key" }\n'
    )

    refused = run(settings)

    assert refused.returncode == 2
    assert "choose another" in refused.stderr


def test_a_missing_extra_is_named_with_its_pip_line(tmp_path: Path) -> None:
    """As on a bare install: the packages of the extra cannot be imported."""
    there = Centre(tmp_path, free_port(), {})
    there.settings.write_text(f'[listen]\nport = {there.port}\n[store]\npath = "c.db"\n')
    blocked = (
        "import sys\n"
        "for name in ('uvicorn', 'starlette', 'argon2', 'jinja2'): sys.modules[name] = None\n"
        "from gateway.cli import main\n"
        f"sys.exit(main(['centre', {str(there.settings)!r}]))\n"
    )
    bare = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, timeout=60)

    assert bare.returncode == 2
    assert "pip install 'watchline[centre]'" in bare.stderr
