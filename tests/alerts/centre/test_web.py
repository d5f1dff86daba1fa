"""The pages from outside: who gets in, what a form must carry, and that nothing said in an alert can bite."""

import re
from collections.abc import Iterator

import pytest

from tests.alerts.centre.world import PASSWORD, Centre, Person, centre, hidden


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    users = {"wang": "staff", "zhao": "administrator", "leaver": "staff"}
    with centre(tmp_path_factory.mktemp("city"), users=users) as there:
        yield there


@pytest.mark.parametrize("path", ["/", "/administration", "/incidents/gw-1/x"])
def test_strangers_are_sent_to_the_login_and_back(city: Centre, path: str) -> None:
    answer = city.request("GET", path)

    assert answer.status == 303
    assert answer.headers["location"] == f"/login?next={path}"


def test_strangers_hear_and_do_nothing(city: Centre) -> None:
    assert city.request("GET", "/events").status == 401
    assert (
        city.request("POST", "/incidents/gw-1/x/acknowledged", b"seen=1").headers["location"]
        == "/login?next=/"
    )
    assert city.request("GET", "/healthz").json == {"status": "ok"}


def test_wrong_password_and_wrong_name_look_the_same(city: Centre) -> None:
    def tried(name: str) -> tuple[int, str]:
        answer = Person(city).log_in(name, "not the password")
        return answer.status, re.sub(r'value="[^"]*"', "", answer.text)

    assert tried("wang") == tried("nobody-of-that-name")
    assert tried("wang")[0] == 403


def test_a_guesser_must_wait_even_with_the_right_password_at_last(city: Centre) -> None:
    guesser = Person(city)
    statuses = [guesser.log_in("leaver", f"guess {number}").status for number in range(6)]

    last = guesser.log_in("leaver", PASSWORD)

    assert statuses == [403] * 5 + [429]
    assert last.status == 429
    assert 0 < int(last.headers["retry-after"]) <= 300
    assert city.person("wang").see("/")


def test_session_cookies_are_out_of_reach_of_scripts_and_other_sites(city: Centre) -> None:
    person = Person(city)
    answer = person.log_in("wang")

    cookie = answer.headers["set-cookie"].lower()
    assert answer.status == 303
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize(
    "there", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_login_never_leads_away(city: Centre, there: str) -> None:
    person = Person(city)
    token = hidden(person.request("GET", "/login").text, "form_token")

    form = {"form_token": token, "name": "wang", "password": PASSWORD, "next": there}
    assert person.request("POST", "/login", form).headers["location"] == "/"


def test_after_logging_out_the_old_cookie_opens_nothing(city: Centre) -> None:
    person = city.person("wang")
    kept = dict(person.cookies)
    token = hidden(person.see("/"), "form_token")
    assert person.request("POST", "/logout", {"form_token": token}).status == 303

    assert Person(city, kept).request("GET", "/").status == 303


def test_a_form_without_its_token_or_from_another_site_does_nothing(city: Centre) -> None:
    gateway = city.gateway()
    story = gateway.alarm("water.csrf")
    gateway.tell(story.raised())
    person, other = city.person("wang"), city.person("zhao")
    path = f"/incidents/{story.key}/acknowledged"
    form = {
        name: hidden(person.see(f"/incidents/{story.key}"), name) for name in ("form_token", "once", "seen")
    }
    strange = hidden(other.see("/"), "form_token")

    assert person.request("POST", path, {**form, "form_token": ""}).status == 403
    assert person.request("POST", path, {**form, "form_token": strange}).status == 403
    assert person.request("POST", path, form, {"sec-fetch-site": "cross-site"}).status == 403
    assert person.request("POST", path, {**form, "once": "x"}).status == 403
    assert person.request("POST", path, {**form, "note": "x" * 70_000}).status == 413
    assert person.request("POST", path, {f"f{n}": "" for n in range(60)} | form).status == 403
    assert Person(city).request("POST", "/login", {"name": "wang", "password": PASSWORD}).status == 403
    assert "chip stage received" in person.see(f"/incidents/{story.key}")

    assert person.request("POST", path, form).status == 303
    assert "chip stage accepted" in person.see(f"/incidents/{story.key}")


def test_a_button_pressed_twice_acts_once(city: Centre) -> None:
    gateway = city.gateway()
    story = gateway.alarm("water.twice")
    gateway.tell(story.raised())
    person = city.person("wang")
    form = {
        name: hidden(person.see(f"/incidents/{story.key}"), name) for name in ("form_token", "once", "seen")
    }
    path = f"/incidents/{story.key}/acknowledged"

    assert [person.request("POST", path, form).status for _ in range(3)] == [303, 303, 303]

    commands = [
        one for one in gateway.tell(gateway.heartbeat()) if one["body"] == {"incident": story.incident}
    ]
    assert len(commands) == 1


def test_every_answer_tells_the_browser_what_it_may_do(city: Centre) -> None:
    for path in ("/login", "/healthz", "/static/centre.css", "/nowhere", "/api/v1/changes"):
        headers = city.request("GET", path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    assert "no-store" in city.request("GET", "/login").headers["cache-control"]


def test_pages_hold_no_script_or_style_of_their_own(city: Centre) -> None:
    page = city.person("zhao").see("/")

    assert re.findall(r"<script[^>]*>", page) == ['<script src="/static/centre.js" defer>']
    assert "style=" not in page
    assert " onclick" not in page


def test_nothing_that_a_gateway_says_can_become_markup(city: Centre) -> None:
    gateway = city.gateway()
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
    story = gateway.alarm(f"water.{evil}", channel=evil, advice=evil, tier=evil, kind="no such kind")
    change = story.raised(
        because=evil, observed={"value": 1.0, "unit": evil, "limit": 2.0}, numbers={evil: 1.0}
    )
    change["data"] |= {"owner": evil, "title": evil, "title_zh": evil, "advice_zh": evil}
    change["data"]["plot"] = {"end": "2026-01-05T02:14:07Z", "period_s": 1, "unit": evil, "values": [1, 2, 3]}
    change["data"]["candidates"] = [{"place": evil, "share": evil, "feeds": evil}]
    gateway.tell(change)
    person = city.person("zhao")
    person.act(story.key, "confirmed", outcome="real", note=evil)

    for path in ("/", f"/incidents/{story.key}", f"/incidents/{story.key}?lang=en", "/administration"):
        page = person.see(path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert evil not in page
    assert "&lt;script&gt;alert(1)" in person.see(f"/incidents/{story.key}?lang=zh")


def test_refused_acts_say_why_in_the_readers_language(city: Centre) -> None:
    gateway = city.gateway()
    story = gateway.alarm("water.refused")
    gateway.tell(story.raised())
    person = city.person("wang")

    zh = person.act(story.key, "closed")
    person.see("/?lang=en")
    en = person.act(story.key, "closed")
    shelf = person.act(story.key, "shelved", seconds="9000", reason="works")

    assert (zh.status, en.status, shelf.status) == (409, 409, 409)
    assert "还不能结案" in zh.text
    assert "It cannot be closed yet." in en.text
    assert "confirmation from the field" in en.text
    assert "between 1 and 60 minutes" in shelf.text


def test_shelving_and_unshelving_become_commands(city: Centre) -> None:
    gateway = city.gateway("gw-2")
    story = gateway.alarm("water.shelved", grade="P3")
    gateway.tell(story.raised())
    person = city.person("wang")
    assert person.act(story.key, "shelved", seconds="3600", reason="阀门检修").status == 303

    [shelve] = gateway.tell(gateway.heartbeat())
    assert shelve["kind"] == "shelve"
    assert shelve["actor"] == "wang"
    assert shelve["body"] == {"incident": story.incident, "seconds": 3600, "reason": "阀门检修"}
    assert gateway.tell(gateway.heartbeat()) == [shelve], "repeated until it is confirmed"

    until = {"shelved_until": "2099-01-05T03:00:00.000Z"}
    told = story.change("shelved", "ACTIVE_UNACK", extra=until, notify=False)
    assert gateway.tell(gateway.confirm(shelve["id"]), told) == []
    assert "2099-01-05 11:00:00" in person.see(f"/incidents/{story.key}")

    assert person.act(story.key, "unshelved").status == 303
    [unshelve] = gateway.tell(gateway.heartbeat())
    assert unshelve["body"] == {"incident": story.incident}
    assert gateway.tell(gateway.confirm(unshelve["id"], "refused", "no such <b>alarm</b>")) == []
    assert "no such &lt;b&gt;alarm&lt;/b&gt;" in person.see(f"/incidents/{story.key}")


def test_administration_is_for_administrators(city: Centre) -> None:
    staff, administrator = city.person("wang"), city.person("zhao")

    assert staff.request("GET", "/administration").status == 403
    assert "/administration" not in staff.see("/")
    token = hidden(staff.see("/"), "form_token")
    form = {"form_token": token, "account": "zhao", "disabled": "1"}
    assert staff.request("POST", "/administration/accounts", form).status == 403

    page = administrator.see("/administration?lang=en")
    for word in ("gw-1", "wang", "logged in", "Audit log"):
        assert word in page


def test_a_disabled_user_is_out_at_once_and_nobody_locks_themselves_out(city: Centre) -> None:
    assert city.add_user("temp").returncode == 0  # while the centre runs
    temp, administrator = city.person("temp"), city.person("zhao")
    token = hidden(administrator.see("/administration"), "form_token")

    def disable(name: str) -> int:
        form = {"form_token": token, "account": name, "disabled": "1"}
        return administrator.request("POST", "/administration/accounts", form).status

    assert disable("temp") == 303
    assert temp.request("GET", "/").status == 303
    assert Person(city).log_in("temp").status == 403
    assert disable("zhao") == 403


def test_what_is_not_there_is_said_plainly(city: Centre) -> None:
    person = city.person("wang")

    for path in ("/nowhere", "/incidents/gw-1/nowhere", "/static/../casebook.py", "/static/%2e%2e/web.py"):
        assert person.request("GET", path).status == 404


def test_pages_speak_chinese_first_and_english_on_request(city: Centre) -> None:
    person = city.person("wang")

    assert "未结案件" in person.see("/")
    assert "Open incidents" in person.see("/?lang=en")
    assert "Open incidents" in person.see("/"), "and it stays so"
    assert "未结案件" in person.see("/?lang=zh")
    assert "未结案件" in person.see("/?lang=xx")


def test_the_page_leads_through_all_steps_and_shows_who_has_it_and_until_when(city: Centre) -> None:
    gateway, person = city.gateway(), city.person("wang")
    story = gateway.alarm("water.steps")
    gateway.tell(story.raised())
    shown = []
    for act, form in (
        ("acknowledged", {}),
        ("filed", {"note": "by the book"}),
        ("dispatched", {"to": "供水抢修三班", "limit": "4 工作时"}),
        ("returned", {"reason": "not ours"}),
        ("dispatched", {"to": "供水抢修一班"}),
        ("engaged", {}),
        ("started", {}),
        ("noted", {"note": "road closed"}),
        ("reported", {"outcome": "real", "note": "pipe mended"}),
        ("verifying", {}),
    ):
        page = person.see(f"/incidents/{story.key}")
        assert act == "acknowledged" or f'id="{act}"' in page, f"the page offers {act}"
        assert person.act(story.key, act, **form).status == 303
        shown += re.findall(r'chip stage (\w+)"', person.see(f"/incidents/{story.key}"))[:1]

    assert shown == [
        *("accepted", "registered", "dispatched", "registered", "dispatched", "engaged", "handling"),
        *("handling", "feedback", "verifying"),
    ]
    page = person.see(f"/incidents/{story.key}?lang=en")
    for text in ("供水抢修一班", "pipe mended", "road closed", "returned the order", 'class="now">verify'):
        assert text in page
    assert person.act(story.key, "closed").status == 409
    assert person.act(story.key, "reworked", reason="still wet").status == 303
