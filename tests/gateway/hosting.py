"""Hosting: serves a subscription as the storage thread does; its recorder commits when the test says."""

import contextlib
import selectors
import threading
import time
from collections.abc import Callable, Iterator

from config.channels import Channel, ChannelTable
from gateway.sources.mqtt import Mqtt
from gateway.subscription import Subscription
from tests.gateway.recorder import Recorder

BANDS = ChannelTable(
    [
        Channel(f"band-{band}.{point}", "wristband", f"person-{band}", point, unit, 60.0)
        for band in range(5)
        for point, unit in (("heart_rate", "/min"), ("spo2", "%"), ("sos", "1"))
    ]
)
NOW_NS = 1_760_000_000 * 10**9


class Host:
    """A thread that does for one subscription what the storage thread does: serve, commit, acknowledge."""

    def __init__(
        self, subscription: Subscription, recorder: Recorder, may_commit: Callable[[], bool]
    ) -> None:
        self.subscription = subscription
        self.recorder = recorder
        self.may_commit = may_commit
        self.longest_step_s = 0.0
        self.most_waiting = 0
        self.stopping = False
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            while not self.stopping:
                began_s = time.monotonic()
                wake_s = self.subscription.tick(began_s)
                self._note_step(began_s)
                self._turn(min(wake_s - began_s, 0.02))
        except BaseException as error:
            self.error = error

    def _turn(self, wait_s: float) -> None:
        """Look at the socket once, as often as it changes; commit once it is dry."""
        subscription = self.subscription
        descriptor = subscription.fileno()
        ready: list[tuple[selectors.SelectorKey, int]] = []
        if descriptor >= 0:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if subscription.wants_write() else 0)
            with selectors.DefaultSelector() as selector:
                selector.register(descriptor, wanted)
                ready = selector.select(max(wait_s, 0.0))
        else:
            time.sleep(max(wait_s, 0.0))
        began_s = time.monotonic()
        for _, events in ready:
            if events & selectors.EVENT_READ:
                subscription.readable()
            if events & selectors.EVENT_WRITE:
                subscription.writable()
        self._note_step(began_s)
        self.most_waiting = max(self.most_waiting, subscription.waiting())
        if self.may_commit() and not any(events & selectors.EVENT_READ for _, events in ready):
            self.recorder.sync()

    def _note_step(self, began_s: float) -> None:
        self.longest_step_s = max(self.longest_step_s, time.monotonic() - began_s)


@contextlib.contextmanager
def hosted(
    settings: Mqtt,
    channels: ChannelTable = BANDS,
    recorder: Recorder | None = None,
    may_commit: Callable[[], bool] = lambda: True,
) -> Iterator[Host]:
    """A subscription at work; an error in it fails the test."""
    recorder = recorder or Recorder()
    subscription = settings.subscription(channels, recorder, lambda: NOW_NS, site="east")
    host = Host(subscription, recorder, may_commit)
    host.thread.start()
    try:
        yield host
    finally:
        host.stopping = True
        host.thread.join(20)
        subscription.close()
    if host.error is not None:
        raise host.error
