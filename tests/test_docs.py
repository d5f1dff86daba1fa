"""Documentation: what it shows can be followed; links lead somewhere, commands parse, examples work."""

import argparse
import configparser
import importlib
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.signing import new_secret
from config.load import read_centre, read_site
from gateway.commands import __path__ as COMMANDS
from tests.alerts.centre.world import centre
from tests.pages import DOCS, EXAMPLES, PARTS, ROOT, pages, renewed
from tests.parts import binary, free_port, running

PAGES = list(pages())
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|\s)(?:\S*/bin/)?watchline ([a-z].*)$")
CODE_FILE = re.compile(r"`((?:config|ingest|detectors|alerts|gateway|simulators|tests|scripts)/[\w/.]+)`")


def fences(page: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of a page in these languages."""
    for language, content in FENCE.findall(page.read_text("utf-8")):
        if language in languages:
            yield content


def anchors(page: Path) -> set[str]:
    """What a link may point to inside a page, as GitHub names headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    return LINK.findall(FENCE.sub("", page.read_text("utf-8")))


def shown_commands() -> Iterator[tuple[str, list[str]]]:
    """(page, words) of every `watchline …` in a shell block, or in a line's code that has arguments."""
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        text = page.read_text("utf-8")
        lines = [line for block in fences(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"`(watchline [^`\n]+)`", FENCE.sub("", text))
        for line in lines:
            if (found := COMMAND.search(line)) is not None:
                yield name, shlex.split(found[1], comments=True)


@every_page
def test_each_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{link}: there is no {target}"
        assert ROOT in target.parents
        if anchor:
            assert anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_each_page_can_be_reached_from_the_table_of_contents() -> None:
    reached = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "index.md")}
    missing = [
        page for page in PAGES if page.parent == DOCS and page.name != "index.md" and page not in reached
    ]
    assert missing == []


@pytest.mark.parametrize("name", PARTS)
def test_generated_parts_are_current(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == renewed(name), "run: python -m tests.pages"


def test_each_command_that_is_shown_parses() -> None:
    commands = list(shown_commands())
    assert len(commands) > 20
    for page, (name, *words) in commands:
        if name in ("…", "--help", "--version"):
            continue
        files = [file.stem for file in Path(COMMANDS[0]).glob(f"{name}*.py") if file.stem.rstrip("_") == name]
        assert files, f"{page}: there is no watchline {name}"
        parser = argparse.ArgumentParser(exit_on_error=False)
        importlib.import_module(f"gateway.commands.{files[0]}").arguments(parser)
        if words:  # a bare name only speaks of the command
            try:
                parser.parse_args([word.replace("FILE…", "FILE") for word in words])
            except (SystemExit, argparse.ArgumentError) as error:
                raise AssertionError(f"{page}: watchline {name} {' '.join(words)}: {error}") from error


@every_page
def test_blocks_of_code_can_be_read(page: Path) -> None:
    for block in fences(page, "toml"):
        tomllib.loads(block)
    for block in fences(page, "json"):
        json.loads(block)
    for block in fences(page, "ini"):
        configparser.ConfigParser(strict=False).read_string(block)
    for block in fences(page, "python"):
        compile(block, page.name, "exec")
    for block in fences(page, "sh"):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)


@every_page
def test_the_files_of_the_code_that_are_named_exist(page: Path) -> None:
    for name in CODE_FILE.findall(page.read_text("utf-8")):
        if "." not in name and not name.endswith("/"):
            continue
        planned = name.rpartition("/")[2] in ("seep.py", "opcua.py")
        assert (ROOT / name).exists() or planned, f"{page.name} names {name}"


def test_the_signed_post_by_hand_is_taken_by_a_real_centre(tmp_path: Path) -> None:
    (script,) = (block for block in fences(DOCS / "protocols.md", "sh") if "openssl" in block)
    with centre(tmp_path, gateways=("chenghua-07",)) as there:
        environment = {"SECRET": there.secrets["chenghua-07"], "CENTRE": there.url, "PATH": "/usr/bin:/bin"}
        answer = subprocess.run(
            ["bash", "-euc", script], env=environment, capture_output=True, text=True, timeout=60
        )

    assert answer.returncode == 0, answer.stdout + answer.stderr
    shown = next(block for block in fences(DOCS / "protocols.md", "json") if '"stored"' in block)
    assert json.loads(answer.stdout) == json.loads(shown)


def test_mosquitto_takes_the_example_of_its_settings(tmp_path: Path) -> None:
    port = free_port()
    passwords = tmp_path / "passwords"
    passwords.touch()
    subprocess.run([binary("mosquitto_passwd"), "-b", passwords, "watchline", "x"], check=True)
    shutil.copy(EXAMPLES / "mosquitto.access", tmp_path / "access")
    text = (EXAMPLES / "mosquitto.conf").read_text("utf-8")
    text = text.replace("listener 1883", f"listener {port} 127.0.0.1").replace(
        "/var/lib/mosquitto", str(tmp_path)
    )
    text = text.replace("/etc/mosquitto", str(tmp_path)) + "user root\n"
    config = tmp_path / "mosquitto.conf"
    config.write_text(text)
    try:
        with running([binary("mosquitto"), "-c", config], port, tmp_path / "log"):
            publish = [binary("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(port), "-t", "x", "-m", "1"]
            assert subprocess.run(publish, capture_output=True).returncode != 0, "strangers are refused"
            known = [*publish, "-u", "watchline", "-P", "x"]
            assert subprocess.run(known, capture_output=True, timeout=30).returncode == 0
    finally:
        assert "Error" not in (tmp_path / "log").read_text("utf-8")


def test_the_settings_of_the_quick_start_hold_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = DOCS / "quickstart.md"
    gateway, of_centre = fences(page, "toml")
    (channels,) = fences(page, "csv")
    (tmp_path / "gateway.toml").write_text(gateway)
    (tmp_path / "centre.toml").write_text(of_centre)
    (tmp_path / "channels.csv").write_text(channels)
    unit = (EXAMPLES / "watchline.service").read_text("utf-8")
    for name in re.findall(r'credential = "([\w-]+)"', gateway):
        assert f"LoadCredential={name}:/etc/watchline/{name}" in unit
        (tmp_path / name).write_text(new_secret())
    (tmp_path / "chenghua-07.secret").write_text((tmp_path / "centre-secret").read_text())
    (tmp_path / "chenghua-07.secret").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    site = read_site(tmp_path / "gateway.toml")
    assert site.warnings == ()
    assert site.settings.centre is not None
    (known,) = read_centre(tmp_path / "centre.toml").gateway
    assert (known.id, known.secret) == (site.settings.site.id, site.settings.centre.secret)


@pytest.mark.parametrize("name", ["watchline.service", "watchline-centre.service"])
def test_the_systemd_units_start_commands_that_exist(name: str) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(EXAMPLES / name)
    program, command, settings = shlex.split(unit["Service"]["ExecStart"])

    assert program.endswith("/watchline")
    assert (Path(COMMANDS[0]) / f"{command}.py").is_file()
    assert settings.startswith("/etc/")
