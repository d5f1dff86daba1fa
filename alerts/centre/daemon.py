"""Daemon: the linkage centre as a process; opens the casebook, listens, and ends tidily when told to."""

import asyncio
import contextlib
import logging
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping

import uvicorn

from alerts.centre.calling.caller import Caller
from alerts.centre.calling.partners import Partners
from alerts.centre.calling.receivers import Receivers
from alerts.centre.calling.reports import Reports
from alerts.centre.casebook import Casebook, CasebookFailed, append
from alerts.centre.clocks import Clocks
from alerts.centre.desk import Desk
from alerts.centre.linkage import Linkage
from alerts.centre.passing import append_and_pass_on, deliveries, prune
from alerts.centre.people.directory import Directory, create
from alerts.centre.web import application
from config.clocks import read_clocks, with_limits
from config.errors import SettingsError
from config.rationale import read_own_rationale
from config.routing import read_routing
from config.settings import Cases, CentreSettings
from config.workdays import work_calendar

log = logging.getLogger(__name__)

OWN_NAME = "centre"  # the source of what the centre itself notices
TIDY_S = 3600
GRACE_S = 5  # for requests under way at the end
SUCCESS, FAILURE = 0, 1


def serve(settings: CentreSettings, *, ready: Callable[[str], None] | None = None) -> int:
    """Run the centre until SIGTERM or SIGINT; the exit code. `ready` gets the page's address once it answers.

    SettingsError when it cannot start: the address is taken, the casebook cannot be used.
    """
    if any(gateway.id == OWN_NAME for gateway in settings.gateway):
        raise SettingsError(f'[[gateway]] id "{OWN_NAME}" is the centre\'s own: choose another')
    listener = _listen(settings)
    casebook = _casebook(settings)
    try:
        return asyncio.run(_serve(settings, casebook, listener, ready))
    finally:
        casebook.close()
        listener.close()


async def _serve(
    settings: CentreSettings, casebook: Casebook, listener: socket.socket, ready: Callable[[str], None] | None
) -> int:
    desk = Desk(
        casebook,
        {gateway.id: gateway.heartbeat_s for gateway in settings.gateway},
        verify_s=settings.cases.verify_s,
        clocks=_clocks(settings.cases),
        rationale=read_own_rationale(settings.cases.rationale)[0] if settings.cases.rationale else None,
        append=append_and_pass_on if settings.notifier else append,
    )
    desk.load()
    caller = _caller(settings, desk)
    reports = None if caller is None else Reports(desk, caller.attending, caller.routing)
    partners = _partners(settings)
    server = _Server(_configuration(settings, desk, caller, reports, partners), address(settings), ready)
    if caller is not None and reports is not None:
        linkage = Linkage(caller, reports, Partners(desk, reports, partners))
        server.config.app = linkage.around(server.config.app)
    loop = asyncio.get_running_loop()
    failures: list[CasebookFailed] = []

    def stop() -> None:
        server.should_exit = True
        desk.stop()

    def failed(failure: CasebookFailed) -> None:
        log.error("%s", failure)
        if failure.lasting:
            failures.append(failure)
            loop.call_soon_threadsafe(stop)

    casebook.on_failure = failed
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    if threading.current_thread() is threading.main_thread():
        for signal_ in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_, stop)
    senders = deliveries(casebook, settings.notifier)
    chores = [asyncio.create_task(desk.watch_gateways()), asyncio.create_task(_tidy(desk))]
    if caller is not None:
        chores.append(asyncio.create_task(caller.run()))
    for chore in chores:
        chore.add_done_callback(lambda task: None if task.cancelled() else stop())
    try:
        await server.serve(sockets=[listener])
    finally:
        for sender in senders:
            await asyncio.to_thread(sender.stop)
    for chore in chores:
        if chore.done():
            chore.result()  # none ends by itself: whatever went wrong is seen
        chore.cancel()
    return FAILURE if failures else SUCCESS


def _caller(settings: CentreSettings, desk: Desk) -> Caller | None:
    """Whoever calls people, where `[people]` says who they are."""
    people = settings.people
    if people is None:
        return None
    routing = read_routing(people.routing) if people.routing else read_routing()
    try:
        create(people.directory)
        directory = Directory(people.directory)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(
            f"[people] directory: {people.directory} cannot be used as a directory: {error}"
        ) from error
    receivers = Receivers(directory, routing, people.desk, people.last)
    areas = {gateway.id: gateway.area or people.desk for gateway in settings.gateway}
    caller = Caller(desk, receivers, routing, tells=bool(settings.notifier), areas=areas)
    caller.load()
    return caller


def _partners(settings: CentreSettings) -> dict[str, str]:
    """Signing secrets of partner centres by organisation: those of their notifiers."""
    partners = [entry.build() for entry in settings.notifier if entry.kind == "partner"]
    return {partner.organisation: partner.secret.reveal() for partner in partners}


def _clocks(cases: Cases) -> Clocks:
    calendar = work_calendar(cases.timezone, cases.work_hours, cases.holidays, cases.days_off, cases.days_on)
    return Clocks(calendar, with_limits(read_clocks(), cases.limits))


async def _tidy(desk: Desk) -> None:
    """Once an hour, forget what everybody has been told."""
    while True:
        try:
            untold = await desk.run(lambda connection: prune(connection, desk.clock()))
        except CasebookFailed as error:
            log.error("the outbox was not pruned: %s", error)
        else:
            if untold:
                log.error("%d alert changes were forgotten before every notifier had heard them", untold)
        await asyncio.sleep(TIDY_S)


def address(settings: CentreSettings) -> str:
    """Where people find the page."""
    scheme = "https" if settings.listen.certificate else "http"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.listen.host, settings.listen.host)
    return f"{scheme}://{host}:{settings.listen.port}/"


class _Server(uvicorn.Server):
    """uvicorn, but signals are ours and we hear when it answers."""

    def __init__(self, config: uvicorn.Config, url: str, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._url, self._ready = url, ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self._url)


def _configuration(
    settings: CentreSettings,
    desk: Desk,
    caller: Caller | None,
    reports: Reports | None,
    partners: Mapping[str, str],
) -> uvicorn.Config:
    listen = settings.listen
    app = application(
        desk,
        {gateway.id: gateway.secret.reveal() for gateway in settings.gateway},
        secure=listen.certificate is not None,
        timezone=settings.cases.timezone,
        caller=caller,
        reports=reports,
        partners=tuple(partners),
    )
    return uvicorn.Config(
        app,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=75,
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
    )


def _listen(settings: CentreSettings) -> socket.socket:
    listen = settings.listen
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        listener = socket.create_server((listen.host, listen.port), family=family, backlog=512)
    except OSError as error:
        raise SettingsError(
            f"[listen] cannot listen on {listen.host}:{listen.port}: {error.strerror or error}"
        ) from error
    # asyncio leaves this to whoever made the socket; without it an answer waits 40 ms for an ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _casebook(settings: CentreSettings) -> Casebook:
    casebook = Casebook(settings.store.path)
    try:
        casebook.open()
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        raise SettingsError(
            f"[store] path: {settings.store.path} cannot be used as a casebook: {error}"
        ) from error
    return casebook
