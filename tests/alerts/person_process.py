"""Person process: tells a person (a line in a file) and says so before it can note it; then it is killed."""

import json
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from alerts.delivery import Delivery
from alerts.notifiers.base import CloudEvent, Home, Notifier
from ingest.ticks import SECOND_NS
from tests.alerts.test_outbox import events
from tests.ingest.world import NOON_NS, Hands, Life, site


@dataclass
class Person(Notifier):
    """Remembers across lives what was said; in all but the last life it is held up afterwards."""

    log: Path
    dies: bool
    for_people: ClassVar[bool] = True

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        with self.log.open("a") as file:
            for change in changes:
                file.write(json.dumps([change["id"], bool(change["data"].get("repeat"))]) + "\n")
        if self.dies:
            print("told", flush=True)
            time.sleep(60)
        return None


def main(folder: Path, number: int, dies: bool) -> None:
    one = Life(folder, site(), Hands(NOON_NS + number * 3600 * SECOND_NS))
    delivery = Delivery(one.storage, Person(folder / "told.jsonl", dies), "sms", Home("north", dict, print))
    delivery.register()
    one.tick(changes=events(["P2"], start=number))
    delivery.start()
    while dies or not delivery.delivered or delivery._outbox.waiting(1):
        time.sleep(0.01)
    print("all told", flush=True)
    time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "dies")
