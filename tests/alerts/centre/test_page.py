"""The page in a real browser: log in, take an incident with one tap, close it in time, watch it live."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.alerts.centre.browsing import Windows, chromium, fits, log_in, shot
from tests.alerts.centre.world import Centre, centre

PLOT = {
    "end": "2026-01-05T02:14:07.000Z",
    "period_s": 1.0,
    "unit": "kPa",
    "expected": 312.0,
    "values": [
        312.0 + (second % 3) * 0.4 - (0 if second < 100 else (second - 100) * 4) for second in range(120)
    ],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Centre]:
    with centre(tmp_path, verify_s=2.0, users={"wang": "staff"}) as there:
        yield there


@pytest.fixture
def opened(browser: Browser, city: Centre) -> Iterator[Callable[..., Page]]:
    """Opens the page, on a desk or on a phone."""
    windows = Windows(browser, city.url)
    yield windows.open
    windows.close()


def test_from_login_to_a_closed_case(opened: Callable[..., Page], city: Centre) -> None:
    gateway, other = city.gateway(), city.gateway("gw-2")
    gateway.tell(gateway.heartbeat())
    story = gateway.alarm(
        extra={"plot": PLOT, "owner": "water_company"}, observed={"value": 232.0, "unit": "kPa"}
    )
    page = opened()

    log_in(page, password="not the password")
    expect(page.locator("[role=alert]")).to_have_text("用户名或密码不正确。")
    log_in(page)
    expect(page.locator(".calm-note")).to_have_text("没有未结案件，但有网关没有消息。")
    other.tell(other.heartbeat())
    page.reload()
    expect(page.locator(".calm-note")).to_have_text("一切平静，没有未结案件。")

    gateway.tell(story.raised())  # nobody touches the page: it comes by itself
    expect(page.locator(".card")).to_contain_text("供水管爆裂")
    shot(page, "board")

    page.click("text=确认接警")  # one tap
    expect(page.locator(".card .chip.accepted")).to_have_text("已接警 · wang")
    [command] = gateway.tell(gateway.heartbeat())
    assert (command["kind"], command["actor"]) == ("ack", "wang")
    assert command["body"] == {"incident": story.incident}

    page.click(".card a")
    expect(page.locator("svg.plot polyline")).to_have_count(1)
    expect(page.locator(".command")).to_have_class("command waiting")
    told = story.change("acknowledged", "ACTIVE_ACK", actor="wang", extra={"command": command["id"]})
    assert gateway.tell(gateway.confirm(command["id"]), told) == []
    expect(page.locator(".command")).to_have_class("command applied")

    page.click("#close")
    expect(page.locator("[role=alert]")).to_have_text("还不能结案。")
    expect(page.locator(".waiting li")).to_have_text(["现场核实", "信号回到正常范围（1 处仍异常）"])
    shot(page, "refused")

    page.check("input[value=real]")
    page.fill("textarea", "抢修队到场，阀门已关。")
    page.click("#confirm")
    expect(page.locator(".chip.stage")).to_have_text("核查中 · wang")
    gateway.tell(story.cleared(because="Back within what this hour is used to."))
    expect(page.locator(".waiting li")).to_have_class("window")
    page.click("#close")
    expect(page.locator("[role=alert]")).to_have_text("还不能结案。")
    page.wait_for_timeout(2500)  # the signal stays in band for the whole window
    page.fill("#close-note", "已修复")
    page.click("#close")
    expect(page.locator(".chip.stage")).to_have_text("已结案 · wang")
    shot(page, "closed")

    page.click(".back a")
    expect(page.locator(".calm-note")).to_be_visible()
    expect(page.locator("aside .lines")).to_contain_text("供水管爆裂")


def test_what_somebody_is_writing_survives_the_news(opened: Callable[..., Page], city: Centre) -> None:
    gateway = city.gateway()
    story = gateway.alarm(grade="P3")
    gateway.tell(story.raised())
    page = opened()
    log_in(page)
    page.click(".card a")
    page.fill("textarea", "half a sent")
    page.check("input[value=real]")

    gateway.tell(
        story.change("escalated", "ACTIVE_UNACK", grade="P1", notify=True, because="It grew much worse.")
    )

    expect(page.locator(".lead")).to_contain_text("It grew much worse.")
    expect(page.locator("textarea")).to_have_value("half a sent")
    page.click("#confirm")  # what was seen on the page is the newest: it is taken
    expect(page.locator(".chip.stage")).to_have_text("核查中 · wang")


def test_a_page_without_its_centre_says_so_and_recovers(opened: Callable[..., Page], city: Centre) -> None:
    gateway = city.gateway()
    page = opened()
    log_in(page)
    expect(page.locator(".calm-note")).to_be_visible()
    assert city.server is not None

    city.server.kill()
    expect(page.locator("#lost")).to_be_visible()
    city.server.start()
    gateway.tell(gateway.alarm().raised())

    expect(page.locator(".card")).to_contain_text("供水管爆裂")
    expect(page.locator("#lost")).to_be_hidden()


def test_it_works_on_a_phone(opened: Callable[..., Page], city: Centre) -> None:
    gateway = city.gateway()
    gas = gateway.alarm("gas.riser-2", medium="gas", kind="well_gas", grade="P1", extra={"plot": PLOT})
    gateway.tell(
        gas.raised(), gateway.alarm("water.with.a.very.long.name.that.must.wrap.somewhere.main-0007").raised()
    )
    page = opened(phone=True)
    log_in(page)
    expect(page.locator(".card")).to_have_count(2)
    page.wait_for_load_state()  # the style sheet too
    shot(page, "phone-board")

    button = page.locator(".card.P1 button").bounding_box()
    assert button is not None
    assert button["height"] >= 44, "a thumb must hit it"
    assert fits(page), "nothing sticks out to the side"
    page.locator(".card.P1 button").tap()
    expect(page.locator(".card.P1 .chip.accepted")).to_be_visible()

    page.locator(".card.P1 a").tap()
    expect(page.locator("h1")).to_be_visible()
    assert fits(page)
    shot(page, "phone-incident")


def test_a_login_that_ended_leads_to_the_login(opened: Callable[..., Page], city: Centre) -> None:
    page = opened()
    log_in(page)
    expect(page.locator(".calm-note")).to_be_visible()
    page.context.clear_cookies()

    city.gateway().tell(city.gateway().alarm().raised())

    page.wait_for_url("**/login**")


def test_a_browser_runs_nothing_of_what_gateways_and_staff_write(
    opened: Callable[..., Page], city: Centre
) -> None:
    evil = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
    gateway = city.gateway()
    story = gateway.alarm(f"water.{evil}")
    change = story.raised(because=evil)
    change["data"] |= {"title": evil, "candidates": [{"place": evil, "share": 0.5}]}
    gateway.tell(change)
    city.person("wang").act(story.key, "confirmed", outcome="real", note=evil)
    page = opened()
    log_in(page)

    for path in ("/", f"/incidents/{story.key}"):
        page.goto(f"{city.url}{path}")
        assert evil in page.inner_text("main"), "it is shown as it was written"
        assert page.locator("main script, main img").count() == 0
        assert page.title() != "taken"
