"""Security: who else may read, write or listen: modes of files and folders, and what crosses the network."""

import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from config.load import SiteFiles
from gateway.doctor.complaint import Complaint, advice, fine, is_here, problem

VITALS = "residents' vitals and addresses of their homes are in it"


def examine(path: Path, site: SiteFiles) -> Iterator[Complaint]:
    """Files and addresses of one gateway. Secrets' own files were looked at when they were read."""
    settings = site.settings
    found = [*_files(path, site), *_addresses(site)]
    yield from found
    if settings.metrics is not None and not is_here(settings.metrics.host):
        yield problem(
            "metrics",
            f"who reaches {settings.metrics.host}:{settings.metrics.port} may read how this gateway is",
            'set host = "127.0.0.1" in [metrics], or let only your collector through the firewall',
        )
    elif not found:
        yield fine("security", "files are closed to others, and nothing crosses the network in the clear")


def _files(path: Path, site: SiteFiles) -> Iterator[Complaint]:
    settings = site.settings
    for file in (path, settings.site.channels):
        if file.exists() and _mode(file) & (stat.S_IWGRP | stat.S_IWOTH):
            yield problem(
                "files", f"{file} can be changed by others (mode {_mode(file):03o})", f"chmod go-w {file}"
            )
    folders = [settings.site.data, *([settings.archive.folder] if settings.archive else [])]
    for folder in folders:
        if folder.is_dir() and _mode(folder) & stat.S_IRWXO:
            yield problem(
                "files",
                f"{folder} is open to every user of this machine (mode {_mode(folder):03o}); {VITALS}",
                f"chmod -R o-rwx {folder}, and UMask=0077 in the unit",
            )
    if settings.site.data.is_dir() and settings.site.data.stat().st_uid == 0:
        yield advice(
            "files",
            f"{settings.site.data} belongs to root: the gateway runs with more rights than it needs",
            "run it as a user of its own (User= in the unit)",
        )


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _addresses(site: SiteFiles) -> Iterator[Complaint]:
    """What is sent in the clear beyond this machine. Of brokers see `broker.py`."""
    settings = site.settings
    places = []
    if settings.influxdb is not None:
        places.append(("influxdb", settings.influxdb.url, "the token and every reading"))
    if settings.centre is not None:
        places.append(("centre", settings.centre.url, "alerts"))
    for notifier in settings.notifier:
        url = notifier.options.get("url")
        if isinstance(url, str):
            places.append((notifier.label, url, "alerts"))
    for name, url, what in places:
        parts = urlsplit(url)
        if parts.scheme == "http" and not is_here(parts.hostname or ""):
            yield problem(
                name, f"{what} cross the network unencrypted to {parts.netloc}", "use https:// in its url"
            )
