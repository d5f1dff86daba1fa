"""Delivery: one thread a receiver; tells what was committed, at least once, until confirmed or refused."""

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from alerts.alert import rfc3339, short_hash
from alerts.notifiers.base import Home, Notifier
from alerts.outbox import Letter, Outbox, Store
from alerts.standby import LOOK_AHEAD, Standby
from config.errors import DeliveryFailed

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
LONGEST_WISH_S = 3600.0  # a receiver's Retry-After is believed up to here
URGENT_WAIT_S = 5.0  # a new P1 is tried although the receiver is away, at most so often
HANGS_S = 60.0  # a receiver that says nothing for so long is said to be in trouble
CALLED = "city.linkage.case.called.v1"
LOOK_S = 5.0  # between looks when nobody wakes us


class Delivery:
    """A receiver's thread. `trouble` says why it hears nothing at present, "" where all is well.

    While the receiver is away only one try is made at a time (the breaker): after 1 s, then ever rarer, up
    to every 5 min, each with jitter, or when it says so itself (Retry-After). A message that is refused for
    good is halved until the culprit is found, which is put aside; the others go on.
    """

    def __init__(
        self,
        store: Store,
        notifier: Notifier,
        name: str,
        home: Home,
        *,
        standby: Standby | None = None,
        first_wait_s: float = FIRST_WAIT_S,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = name
        self._trouble = ""
        self._busy_since_s: float | None = None  # when the message under way was begun
        self.failures = 0  # in a row
        self.delivered = 0  # since the start
        self.refused = 0
        self.repeats = 0  # told to people although they may have been told before
        self._notifier = notifier
        self._standby = standby
        self._outbox = Outbox(store, name)
        self._news = store.subscribe()
        self._stop = threading.Event()
        self._left_behind = False
        self._first_wait_s = first_wait_s
        self._clock = clock
        self._most = notifier.at_once
        notifier.join(home)
        self._thread = threading.Thread(target=self._run, name=f"notifier {name}", daemon=True)

    @property
    def trouble(self) -> str:
        """A receiver that takes the connection and then says nothing is in trouble too."""
        since_s = self._busy_since_s
        if since_s is not None and (silent_s := time.monotonic() - since_s) > HANGS_S:
            return f"{self.name} has been told something and has said nothing for {silent_s:.0f} s"
        return self._trouble

    def register(self) -> None:
        """Take a place in the outbox; before the first tick that could concern this receiver."""
        self._outbox.register()

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """End after the message under way, unless its receiver says nothing; what was not told is kept.

        A message that is left under way is sent again at the next start, under the same id.
        """
        self._stop.set()
        self._news.set()
        self._thread.join(timeout_s)
        self._left_behind = self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._news.clear()
                if not self._round():
                    beat_s = self._notifier.next_beat_s()
                    self._news.wait(LOOK_S if beat_s is None else min(LOOK_S, beat_s))
            self._outbox.close()
        except Exception:
            if not self._left_behind:
                self._trouble = "stopped by a bug; see the log"
                log.exception("notifier %s", self.name)
        finally:
            self._notifier.close()

    def _round(self) -> bool:
        """Tell the next letters; False when there was nothing to do."""
        wanted, unwanted = self._next()
        if unwanted:
            self._outbox.settle(unwanted, {}, self._clock())
        beat_s = self._notifier.next_beat_s()
        if not wanted and (beat_s is None or beat_s > 0):
            return bool(unwanted)
        try:
            confirmed = self._tell(wanted)
        except DeliveryFailed as failure:
            self._failed(failure, wanted)
            return True
        done = [letter for letter in wanted if confirmed is None or letter.event["id"] in confirmed]
        if done:
            report = [self._call(letter) for letter in done] if self._standby else []
            self._outbox.settle([letter.id for letter in done], {}, self._clock(), report)
            self.delivered += len(done)
        if len(done) < len(wanted):
            self._wait(
                DeliveryFailed(f"{self.name} did not confirm {len(wanted) - len(done)} changes"), wanted
            )
            return True
        self._recovered()
        return True

    def _next(self) -> tuple[list[Letter], list[int]]:
        """The letters to be told now, and the ids of those that this receiver need not hear."""
        most = self._most if self._standby is None else LOOK_AHEAD
        letters = self._outbox.waiting(most)
        wanted = [letter for letter in letters if self._notifier.wants(letter.event)]
        unwanted = [letter.id for letter in letters if letter not in wanted]
        if self._standby is not None:
            wanted, spared = self._outbox.due(self._standby, wanted, self._clock())
            unwanted += spared
        return wanted[: self._most], unwanted

    def _tell(self, wanted: Sequence[Letter]) -> Collection[str] | None:
        """One call of the notifier. To a person, what may have been told before is marked as a repeat."""
        repeats: set[int] = set()
        if self._notifier.for_people and wanted:
            repeats = self._outbox.try_once([letter.id for letter in wanted])
            self.repeats += len(repeats)
        self._busy_since_s = time.monotonic()
        try:
            return self._notifier.notify([self._stamped(one, one.id in repeats) for one in wanted])
        except DeliveryFailed as failure:
            if failure.unsent and self._notifier.for_people:
                self._outbox.not_tried([letter.id for letter in wanted if letter.id not in repeats])
            raise
        finally:
            self._busy_since_s = None

    def _call(self, letter: Letter) -> Mapping[str, object]:
        """What this receiver did in place of another, for the centre to know when it is back."""
        event = letter.event
        data = event.get("data", {})
        now = rfc3339(self._clock())
        return {
            "specversion": "1.0",
            "id": f"called-{short_hash(self.name, event['id'])}",
            "source": event["source"],
            "type": CALLED,
            "time": now,
            "datacontenttype": "application/json",
            "data": {
                "actor": self.name,
                "incident": data.get("incident", ""),
                "alert_id": data.get("alert_id", ""),
                "change": event["id"],
                "called": list(self._notifier.called()),
                "at": now,
            },
        }

    def _failed(self, failure: DeliveryFailed, wanted: Sequence[Letter]) -> None:
        if not failure.permanent or not wanted:
            self._wait(failure, wanted)
        elif len(wanted) > 1:
            self._most = len(wanted) // 2
        else:
            letter = wanted[0]
            event_id = letter.event["id"]
            log.error("%s refused %s for good, it is put aside: %s", self.name, event_id, failure)
            self._outbox.settle([], {letter.id: (event_id, str(failure))}, self._clock())
            self.refused += 1

    def _wait(self, failure: DeliveryFailed, wanted: Sequence[Letter]) -> None:
        """Until the next try: a P1 that was not among these ends the wait early."""
        if str(failure) != self._trouble:
            log.error("%s hears nothing, changes wait in the outbox: %s", self.name, failure)
            self._trouble = str(failure)
        pause_s = min(LONGEST_WAIT_S, self._first_wait_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        wish_s = min(failure.retry_after_s or 0.0, LONGEST_WISH_S)
        start_s = time.monotonic()
        end_s = start_s + max(wish_s, pause_s * random.uniform(0.5, 1.0))
        known = max((letter.id for letter in wanted), default=0)
        while not self._stop.is_set() and (left_s := end_s - time.monotonic()) > 0:
            self._news.clear()
            self._news.wait(min(left_s, LOOK_S))
            tired_s = time.monotonic() - start_s
            if tired_s > URGENT_WAIT_S and not wish_s and self._outbox.urgent_after(known):
                return

    def _recovered(self) -> None:
        self._most = min(2 * self._most, self._notifier.at_once)
        self.failures = 0
        if self._trouble:
            log.warning("%s hears again", self.name)
            self._trouble = ""

    def _stamped(self, letter: Letter, repeat: bool) -> dict[str, object]:
        """The event with the time of sending; a repeat keeps its id."""
        event = letter.event
        data = {**event.get("data", {}), **({"repeat": True} if repeat else {})}
        if "t" in data:
            event = {**event, "data": {**data, "t": {**data["t"], "sent": rfc3339(self._clock())}}}
        return event
