"""Rotas: the pages of who is on duty now and next; swaps and overrides by staff; a gap is loud."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from alerts.centre.accounts import Session
from alerts.centre.pages.room import House, Room, StaffOnly
from alerts.centre.people.admission import SEEN, OutOfArea
from alerts.centre.people.checking import HORIZON_DAYS, read_rota
from alerts.centre.people.rota import SECOND_NS, Gap, Rota, Turn
from alerts.centre.people.turnover import TurnoverRefused, Turnovers
from alerts.centre.sight import Eye

DAY_NS = 86_400 * SECOND_NS
SHOWN_NS = 7 * DAY_NS
AHEAD_NS = HORIZON_DAYS * DAY_NS
ROTAS_MOST = 200
STANDINS_MOST = 300  # people offered for a change; any other is written by id


class Rotas(Room):
    """A list, and a page of each rota with what changes it."""

    address, name = "/rotas", "rotas"

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.turnovers = Turnovers(self.desk, self.directory)

    def routes(self, staff_only: StaffOnly) -> list[Route]:
        return [
            Route(self.address, staff_only(self.list)),
            Route(self.address + "/{rota}", staff_only(self.one)),
            Route(self.address + "/{rota}/override", staff_only(self.override), methods=["POST"]),
            Route(self.address + "/{rota}/swap", staff_only(self.swap), methods=["POST"]),
        ]

    async def list(self, request: Request, session: Session) -> Response:
        """Of each rota: who is primary and backup, until when, who comes next, and gaps of two weeks."""
        area = session.account.area
        eye = self.eye(request)
        names = [name for name in self.directory.rotas() if self.directory.inside(name, area)][:ROTAS_MOST]
        await self.desk.note(SEEN, actor=session.account.name, reason=f"rotas of {area or 'all'}")
        rows = [self.line(name, eye) for name in names]
        rows.sort(key=lambda row: (row["gaps"] == [], row["name"]))
        return self.render(request, "rotas.html", session, rows=rows, address=self.address)

    async def one(self, request: Request, session: Session) -> Response:
        return await self._page(request, session)

    async def override(self, request: Request, session: Session) -> Response:
        """Somebody is primary for a time."""
        form = await self.gate.form(request, session)
        rota = await self._own(request, session)
        zone = _zone(rota)
        try:
            start, end = (_moment(form.get(name, ""), zone) for name in ("start", "end"))
            person, instead_of = form.get("person", "").strip(), form.get("instead_of", "")
            reason = _reason(form)
            await self.turnovers.override(
                rota.name, person, start, end, instead_of, reason, session.account.name
            )
        except TurnoverRefused as refusal:
            return await self._page(request, session, refusal=refusal, written=form)
        return RedirectResponse(f"{self.address}/{rota.name}", 303)

    async def swap(self, request: Request, session: Session) -> Response:
        """Two people take each other's turn."""
        form = await self.gate.form(request, session)
        rota = await self._own(request, session)
        now_ns = self.desk.clock()
        turns = {_key(turn): turn for turn in _primaries(rota, now_ns)}
        try:
            one, other = turns.get(form.get("one", "")), turns.get(form.get("other", ""))
            if one is None or other is None:
                raise TurnoverRefused("turnover_gone")
            await self.turnovers.swap(rota.name, one, other, _reason(form), session.account.name)
        except TurnoverRefused as refusal:
            return await self._page(request, session, refusal=refusal, written=form)
        return RedirectResponse(f"{self.address}/{rota.name}", 303)

    async def _own(self, request: Request, session: Session) -> Rota:
        """The rota of the address, once it is sure that the account may see it."""
        name = request.path_params["rota"]
        if name not in self.directory.rotas():
            raise HTTPException(404)
        try:
            await self.admission.admit(session.account, name, "rota")
        except OutOfArea as refusal:
            raise HTTPException(403) from refusal
        return read_rota(self.directory, name)

    async def _page(
        self,
        request: Request,
        session: Session,
        *,
        refusal: TurnoverRefused | None = None,
        written: dict[str, str] | None = None,
    ) -> Response:
        rota = await self._own(request, session)
        eye = self.eye(request)
        now_ns, zone = eye.now_ns, _zone(rota)
        until_ns = now_ns + SHOWN_NS
        lines = [self._turn(turn, eye) for turn in rota.turns(now_ns, until_ns) if turn.end_ns > now_ns]
        lines += [self._gap(gap, eye) for gap in rota.gaps(now_ns, until_ns)]
        standins = [p for p in self.directory.people_of(rota.name) if p.role != "volunteer"]
        on_it = {shift.person for shift in rota.shifts}
        turns = _primaries(rota, now_ns)
        first = turns[0] if turns else None
        blank = {"person": "", "instead_of": "", "reason": "", "one": "", "other": ""}
        blank |= {
            "start": _local(max(first.start_ns, now_ns) if first else now_ns, zone),
            "end": _local(first.end_ns if first else now_ns + DAY_NS // 3, zone),
        }
        return self.render(
            request,
            "rota.html",
            session,
            status=409 if refusal else 200,
            refusal=eye.words.of("refusal", refusal.code, **refusal.details) if refusal else "",
            one=self.line(rota.name, eye),
            lines=sorted(lines, key=lambda line: (line["start_ns"], line["post"])),
            people=[(p.id, p.name) for p in standins[:STANDINS_MOST]],
            on_it=[(id, self.named(id)) for id in sorted(on_it)],
            turns=[(_key(turn), self._turn(turn, eye)) for turn in turns],
            zone=zone.key,
            written={**blank, **(written or {})},
            address=self.address,
        )

    def line(self, name: str, eye: Eye) -> dict[str, Any]:
        """A rota in one line."""
        rota, now_ns = read_rota(self.directory, name), eye.now_ns
        now = rota.on_duty(now_ns)
        posts = {
            post: [self._turn(turn, eye) for turn in now if turn.post == post]
            for post in ("primary", "backup")
        }
        here = {turn.person for turn in now if turn.post == "primary"}
        coming = (t for t in _primaries(rota, now_ns) if t.start_ns > now_ns and t.person not in here)
        following = next(coming, None)
        gaps = rota.gaps(now_ns, now_ns + AHEAD_NS)
        return {
            "code": name,
            "name": self.called(name),
            **posts,
            "next": None if following is None else self._turn(following, eye),
            "gaps": [self._gap(gap, eye) for gap in gaps[:3]],
            "gaps_more": max(0, len(gaps) - 3),
            "gap_now": bool(gaps) and gaps[0].start_ns <= now_ns,
        }

    def _turn(self, turn: Turn, eye: Eye) -> dict[str, Any]:
        return {
            "start_ns": turn.start_ns,
            "post": turn.post,
            "post_word": eye.words.of("post", turn.post),
            "person": turn.person,
            "name": self.named(turn.person),
            "from": eye.minute(turn.start_ns),
            "to": eye.minute(turn.end_ns),
            "now": turn.start_ns <= eye.now_ns < turn.end_ns,
            "changed": bool(turn.why),
            "gap": "",
        }

    def _gap(self, gap: Gap, eye: Eye) -> dict[str, Any]:
        names = ", ".join(self.named(one) for one in gap.people)
        key = "gap_several" if gap.people else "gap_nobody"
        text = eye.words(key, people=names, start=eye.minute(gap.start_ns), end=eye.minute(gap.end_ns))
        return {
            "start_ns": gap.start_ns,
            "post": "",
            "gap": text,
            "from": eye.minute(gap.start_ns),
            "to": eye.minute(gap.end_ns),
        }


def _primaries(rota: Rota, now_ns: int) -> list[Turn]:
    """The turns of primaries that are not over, two weeks ahead."""
    return [t for t in rota.turns(now_ns, now_ns + AHEAD_NS) if t.post == "primary" and t.end_ns > now_ns]


def _key(turn: Turn) -> str:
    return f"{turn.start_ns} {turn.end_ns} {turn.person}"


def _zone(rota: Rota) -> ZoneInfo:
    return rota.shifts[0].when.zone


def _local(time_ns: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(time_ns // SECOND_NS, zone):%Y-%m-%dT%H:%M}"


def _moment(text: str, zone: ZoneInfo) -> datetime:
    """What a browser writes of a date and time, on the wall of a zone."""
    try:
        return datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=zone)
    except ValueError as error:
        raise TurnoverRefused("turnover_span") from error


def _reason(form: dict[str, str]) -> str:
    reason = form.get("reason", "").strip()
    if len(reason) < 2:
        raise TurnoverRefused("reason_missing")
    return reason
