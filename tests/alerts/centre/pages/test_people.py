"""The pages about people in a real browser: who is on duty, who stands in, whom to call, what was walked."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.alerts.centre.browsing import SHOTS, Windows, chromium, fits, log_in, shot
from tests.alerts.centre.pages.town import ASIDE, COMMUNITY, GRID, town
from tests.alerts.centre.world import Centre

OF_PEOPLE = (
    "/people",
    f"/people/{COMMUNITY}",
    f"/people/{GRID}",
    "/rotas",
    "/rotas/hub",
    f"/rotas/{COMMUNITY}",
)
PAGES = ("/", "/reports", "/reports/new", *OF_PEOPLE, "/rounds", "/linkage", "/administration", "/report")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with town(tmp_path_factory.mktemp("town")) as there:
        yield there


@pytest.fixture
def opened(browser: Browser, city: Centre) -> Iterator[Callable[..., Page]]:
    windows = Windows(browser, city.url)

    def open(name: str, *, phone: bool = False) -> Page:
        page = windows.open(phone=phone)
        log_in(page, name)
        expect(page.locator("#pulse")).to_be_visible()
        return page

    yield open
    windows.close()


@pytest.mark.parametrize("phone", [False, True])
def test_every_page_fits_the_desk_and_the_phone_and_no_name_becomes_markup(
    opened: Callable[..., Page], city: Centre, phone: bool
) -> None:
    city.gateway().tell(city.gateway().heartbeat(), city.gateway().alarm(f"gas.block3.{phone}").raised())
    page = opened("zhao", phone=phone)

    for path in PAGES:
        for language in ("zh", "en") if SHOTS else ("en" if phone else "zh",):
            page.goto(f"{city.url}{path}?lang={language}")
            assert fits(page), (path, language)
            assert page.locator("main img[src=x]").count() == 0, path
            here = path.strip("/").replace("/", "-") or "board"
            shot(page, f"{'phone' if phone else 'desk'}-{here}-{language}")


def test_somebody_stands_in_for_a_turn_and_two_swap_theirs(opened: Callable[..., Page], city: Centre) -> None:
    page = opened("wang")
    page.goto(f"{city.url}/rotas/hub?lang=en")
    primary = page.locator(".duty dd b").first
    before = primary.inner_text()

    page.fill("#override input[name=person]", "nobody")
    page.fill("#override input[name=reason]", "ill")
    page.click("#override button")
    expect(page.locator("[role=alert]")).to_have_text("there is no person nobody")
    expect(page.locator("#override input[name=reason]")).to_have_value("ill")
    page.fill("#override input[name=person]", "chief")
    page.click("#override button")

    expect(primary).to_have_text("周建国")
    expect(page.locator("tr .chip").first).to_have_text("changed")
    assert before != "周建国"

    turns = page.locator("#swap select[name=other] option")
    one, other = (turns.nth(n).inner_text().rpartition("· ")[2] for n in (1, 2))
    page.locator("#swap select[name=one]").select_option(index=1)
    page.locator("#swap select[name=other]").select_option(index=2)
    page.fill("#swap input[name=reason]", "a wedding")
    page.click("#swap button")
    expect(turns.nth(1)).to_contain_text(other)
    expect(turns.nth(2)).to_contain_text(one)


def test_a_gap_is_loud_wherever_the_rota_is_seen(opened: Callable[..., Page], city: Centre) -> None:
    page = opened("lane")

    page.goto(f"{city.url}/rotas?lang=en")
    expect(page.locator(".rota")).to_have_count(1)
    expect(page.locator(".rota .gap").first).to_contain_text("Nobody is primary from")
    page.goto(f"{city.url}/rotas/{COMMUNITY}?lang=zh")
    expect(page.locator("tr.gap").first).to_contain_text("无人主班")


def test_a_colleague_is_found_and_called_with_one_tap_and_those_of_others_are_not(
    opened: Callable[..., Page], city: Centre
) -> None:
    page = opened("lane", phone=True)
    page.goto(f"{city.url}/people?lang=en")
    expect(page.locator("h1")).to_contain_text("C2")

    page.fill("input[name=text]", "刘")
    page.fill("input[name=text]", "g-1")
    page.tap(".search button")
    expect(page.locator(".persons li")).to_contain_text("刘洋")
    assert page.locator(".persons a.way").first.get_attribute("href") == "tel:+8613800000201"
    assert "g-1" not in page.url, "what is looked for stays out of addresses and logs"
    page.fill("input[name=text]", "desk-1")
    page.tap(".search button")
    expect(page.locator(".note").first).to_have_text("Nothing was found.")

    answer = page.goto(f"{city.url}/people/{ASIDE}")
    assert answer is not None
    assert answer.status == 403
    assert page.goto(f"{city.url}/rotas/hub").status == 403  # type: ignore[union-attr]
    audit = city.person("zhao").see("/administration?lang=en")
    assert f"people of {ASIDE}: outside {COMMUNITY}" in audit
    assert f"rota of hub: outside {COMMUNITY}" in audit


def test_a_round_is_put_on_the_record_with_one_tap_and_only_while_it_is_due(
    opened: Callable[..., Page], city: Centre
) -> None:
    page = opened("lane", phone=True)
    page.goto(f"{city.url}/rounds?lang=en")
    expect(page.locator(".round")).to_have_count(2)  # its own alone, today and tomorrow
    button = page.locator(".round.due button")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 44, "a thumb must hit it"

    button.tap()

    expect(page.locator(".round.due")).to_have_count(0)
    expect(page.locator(".chip.done")).to_contain_text("walked · lane")
    person = city.person("lane")
    token = re.search(r'name="form_token" value="([^"]*)"', person.see("/rounds"))
    assert token is not None
    others = person.request("POST", "/rounds/now/done", {"form_token": token[1]})
    late = city.person("zhao")
    token = re.search(r'name="form_token" value="([^"]*)"', late.see("/rounds"))
    assert token is not None
    early = late.request("POST", "/rounds/later/done", {"form_token": token[1]})
    assert others.status == 403
    assert early.status == 409
    assert "later" in early.text


def test_what_was_reported_stands_in_the_list_and_in_the_count(
    opened: Callable[..., Page], city: Centre
) -> None:
    page = opened("wang", phone=True)
    page.goto(f"{city.url}/reports/new?lang=en")
    page.select_option("select[name=channel]", "110")
    page.select_option("select[name=category]", "other")
    page.fill("input[name=place]", GRID)
    page.fill("textarea", "<b>something</b> odd")
    page.tap("button.main")
    expect(page.locator("h1")).to_be_visible()

    page.goto(f"{city.url}/reports?lang=en")
    expect(page.locator(".rows li").first).to_contain_text("unknown: to be judged")
    page.goto(f"{city.url}/linkage?lang=en")
    expect(page.locator(".total.taken_over_from_110 b")).to_have_text("1")
    expect(page.locator(".total.flagged_unknown b")).to_have_text("1")


def test_an_administrator_keeps_a_user_to_an_area_and_lets_them_see_everything_again(
    opened: Callable[..., Page], city: Centre
) -> None:
    city.add_user("mei")
    story = city.gateway().alarm("gas.block3.area")
    city.gateway().tell(story.raised())
    mei = city.person("mei")
    assert mei.request("GET", f"/incidents/{story.key}").status == 200
    page = opened("zhao")

    def keep(area: str) -> None:
        page.goto(f"{city.url}/administration?lang=en")
        page.get_by_label("Area: mei").fill(area)
        row = page.locator("tr", has=page.get_by_label("Area: mei"))
        with page.expect_navigation():
            row.get_by_role("button", name="Set").click()

    keep(ASIDE)
    assert mei.request("GET", f"/incidents/{story.key}").status == 403, "at once"
    assert mei.request("GET", f"/people/{ASIDE}").status == 200
    keep("nowhere <b>")
    expect(page.locator(".banner.warn")).to_contain_text("no organisation nowhere <b>: nothing was changed")
    assert mei.request("GET", f"/people/{ASIDE}").status == 200
    expect(page.get_by_label("Area: zhao")).to_have_count(
        0
    )  # an administrator's log shows the whole district
    keep("")
    assert mei.request("GET", f"/incidents/{story.key}").status == 200

    audit = city.person("zhao").see("/administration?lang=en")
    assert re.search(rf"kept a user to an area</td><td> *mei · {ASIDE}", audit)
    assert "let a user see the whole district" in audit


def test_areas_are_for_administrators_to_set_and_only_of_staff(city: Centre) -> None:
    def ask(name: str, account: str) -> int:
        person = city.person(name)
        token = re.search(r'name="form_token" value="([^"]*)"', person.see("/"))
        assert token is not None
        form = {"form_token": token[1], "account": account, "area": COMMUNITY}
        return person.request("POST", "/administration/areas", form).status

    assert ask("wang", "wang") == 403
    assert ask("zhao", "zhao") == 409
    assert ask("zhao", "nobody") == 404
