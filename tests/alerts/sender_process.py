"""Sender process: commits changes and tells a webhook until it is killed; prints what is committed."""

import sys
import time
from pathlib import Path

from alerts.delivery import Delivery
from alerts.notifiers.base import Home
from alerts.notifiers.webhook import Webhook
from config.secrets import Secret
from ingest.ticks import SECOND_NS
from tests.alerts.receiver import SECRET
from tests.alerts.test_outbox import events
from tests.ingest.world import NOON_NS, Hands, Life, site


def main(folder: Path, url: str, name: str) -> None:
    hands = Hands(NOON_NS + (0 if name == "rest" else int(name) + 1) * 86_400 * SECOND_NS)
    one = Life(folder, site(), hands)
    home = Home("north", dict, lambda command: None)
    delivery = Delivery(one.storage, Webhook(url, Secret(SECRET)), "hook", home, first_wait_s=0.05)
    delivery.register()
    delivery.start()
    print("ready", flush=True)
    number = 0
    while name != "rest":
        batch = events(["P3", "P1", "P2"], start=number)
        for event in batch:
            event["id"] = f"{name}-{event['id']}"
        one.tick(changes=batch)
        print(*(event["id"] for event in batch), flush=True)
        number += 3
        time.sleep(0.005)
    time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
