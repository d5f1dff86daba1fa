"""Reading ahead saves reads of the socket, and leaves nothing behind that no selector shows."""

from typing import Any

import pytest

from gateway.ahead import ReadAhead
from tests.gateway.hosting import hosted
from tests.gateway.recorder import eventually
from tests.gateway.stub_broker import strict_stub_broker
from tests.gateway.test_mqtt import message, numbers, to


def test_many_messages_take_few_reads_of_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    refills: list[Any] = []
    read = ReadAhead._sock_recv

    def counted(client: ReadAhead, size: int) -> bytes:
        if not client.buffered():
            refills.append(None)
        asked.append(size)
        return read(client, size)

    monkeypatch.setattr(ReadAhead, "_sock_recv", counted)
    with strict_stub_broker(1_000, [message(n) for n in range(2_000)]) as stub:
        with hosted(to(stub.port, window=1_000)) as host:
            eventually(lambda: len(stub.acknowledged) == 2_000)
        assert numbers(host.recorder) == list(range(2_000))

    assert len(asked) > 6_000, "paho no longer reads through this method: nothing is read ahead"
    assert len(refills) < 2_000


@pytest.mark.parametrize("window", [1, 3, 70])
def test_nothing_waits_in_what_was_read_ahead(window: int) -> None:
    """A broker that sends the next only after an acknowledgement would wait for ever."""
    with strict_stub_broker(window, [message(n) for n in range(300)]) as stub:
        with hosted(to(stub.port, window=window)) as host:
            eventually(lambda: len(stub.acknowledged) == 300)
        assert numbers(host.recorder) == list(range(300))
