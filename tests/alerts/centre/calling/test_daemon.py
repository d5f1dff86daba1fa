"""A real centre calls people, shows whom, and goes on calling after it was killed."""

from pathlib import Path

from config.routing import FILE
from tests.alerts.centre.people.district import settle
from tests.alerts.centre.world import centre, until

FAST = {"climb_s = [120, 300, 600]": "climb_s = [1, 2, 3]", "repeat_s = 120": "repeat_s = 1"}


def test_a_killed_centre_goes_on_calling_where_it_was(tmp_path: Path) -> None:
    settle(tmp_path / "people.sqlite", 60)
    routing = FILE.read_text("utf-8")
    for slow, fast in FAST.items():
        assert slow in routing
        routing = routing.replace(slow, fast)
    (tmp_path / "routing.toml").write_text(routing)
    people = '[people]\ndirectory = "people.sqlite"\ndesk = "hub"\nlast = "chief"\nrouting = "routing.toml"\n'
    with centre(tmp_path, users={"wang": "staff"}, extra=people) as there:
        story = there.gateway().alarm(medium="gas", kind="third_party_damage", grade="P1")
        there.gateway().tell(story.raised())
        person = there.person("wang")
        assert there.server is not None
        for _ in range(3):
            there.server.kill()
            there.server.start()
        until(lambda: "chief" in person.see(f"/incidents/{story.key}"), 60)
        page = person.see(f"/incidents/{story.key}?lang=en")
        assert page.count("first call") == 1
        assert "desk-" in page
        assert "nobody answered, next" in page
