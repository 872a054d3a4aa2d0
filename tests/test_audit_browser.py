"""The page of an audit in a real browser: it loads, sorts, filters and opens, with a mouse and with a keyboard alone.

`LORA_LINT_BROWSER` names a Chromium and demands it, as `CI` does; without one the tests are skipped.
"""

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lora_lint.audit.rows import Found, Row
from tests.reports import page, row, unreadable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (380, 1400)
SCHEMES = ("light", "dark")
MANY = 10_000
AT_MOST = 100
"""Milliseconds for sorting or filtering `MANY` adapters."""
SEVERAL = 5
"""Times that a time is taken; the best counts, since others use the machine too."""

DASH = "\N{EN DASH}"
ALERT = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
HOSTILE = Found("alpha-not-2r", "error", ALERT, 1, ALERT, f"1\t{ALERT}")
SMALL: list[list[Row]] = [
    [row("team/alpha-9", 8, 8)],
    [row("team/alpha-10", 64, 16)],
    [row("team/well", 16, 32)],
    [row("team/noted", 16, 32, Found("revision-unpinned", "note", "revision is main, a branch", 9))],
    [row("team/two", 8, 16), row("team/two", 8, 4)],
    [row("team/run.sh", 8, 8, kind="training", framework="internvl", base_model="org/other", file="team/run.sh")],
    [row("team/asks", undecided="alpha is args.alpha", scale=None, deviation=None)],
    [unreadable("team/broken")],
    [row(ALERT, 8, 2, HOSTILE, base_model=ALERT, framework="<b>peft")],
    [row("team/\u202etxt.\x1b[31m", 8, 16)],
    [row("a#b?c=d&e%20f/é", 8, 16)],
    [row("team/" + "long-" * 40, 8, 16, base_model="org/" + "long-" * 40)],
    [row("מתאם-גדול-מאוד-מאוד-מאוד-ארוך", 8, 16)],
]


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    with sync_playwright() as playwright:
        named = os.environ.get("LORA_LINT_BROWSER")
        path = named or next(filter(None, map(shutil.which, NAMES)), None) or playwright.chromium.executable_path
        if not os.path.exists(path):
            _missing(f"there is no {path}")
        started = playwright.chromium.launch(executable_path=path)
        yield started
        started.close()


def _missing(why: str) -> None:
    reason = f"THE PAGE WAS OPENED IN NO BROWSER, {why}"
    if "LORA_LINT_BROWSER" in os.environ or "CI" in os.environ:
        pytest.fail(reason)
    warnings.warn(reason, stacklevel=2)
    pytest.skip(reason)


class Opened:
    """A page in the browser, and everything that it complained of or asked for."""

    def __init__(self, browser: "Browser", file: Path, fragment: str = "", **context: Any) -> None:
        given = {"viewport": {"width": 1400, "height": 900}, **context}
        self._context = browser.new_context(**given)
        self.page: Page = self._context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{file.as_uri()}{fragment}")

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        complaints, asked = self.complaints, self.asked
        self._context.close()
        assert complaints == []
        assert len(asked) == 1
        assert asked[0].startswith("file://")

    @property
    def names(self) -> list[str]:
        """The adapters of the rows in the table, in order."""
        return list(self.page.locator("tbody.rows a").all_text_contents())

    @property
    def count(self) -> str:
        return str(self.page.locator("#list .count").text_content())

    @property
    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.textContent"))

    @property
    def address(self) -> str:
        return str(self.page.evaluate("location.hash"))

    def sort(self, column: str) -> str:
        """Click the head of a column; what it says of its order then."""
        head = self.page.locator(f"th[data-column={column}]")
        head.locator("button").click()
        return str(head.get_attribute("aria-sort"))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "small.html"
    path.write_text(page(SMALL), "utf-8")
    return path


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "many.html"
    ranks = (4, 8, 16, 32, 64)
    made = (
        [row(f"team-{at % 97}/adapter-{at}", ranks[at % 5], 16, base_model=f"org/model-{at % 300}")]
        for at in range(MANY)
    )
    path.write_text(page(made), "utf-8")
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_it_loads_without_a_complaint_and_nothing_sticks_out(
    width: int, scheme: str, small: Path, browser: "Browser"
) -> None:
    viewport = {"width": width, "height": 800}
    with Opened(browser, small, viewport=viewport, color_scheme=scheme) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width
        assert opened.count == "13 in all"
        shown = "svg.wide" if width > 640 else "svg.narrow"
        assert [one.is_visible() for one in opened.page.locator(shown).all()] == [True, True]
        background = opened.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert background == {"light": "rgb(251, 250, 247)", "dark": "rgb(20, 23, 27)"}[scheme]


def test_a_page_of_nothing_loads_too(browser: "Browser", tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page([]), "utf-8")
    with Opened(browser, tmp_path / "page.html") as opened:
        assert opened.page.locator("h1").inner_text() == "No adapter was found."


FAINT = """
() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((one, at) => one * a + under[at] * (1 - a));
  const ground = (element) => {
    const own = parts(getComputedStyle(element).backgroundColor);
    if (own.length === 3 || own[3] === 1) return own.slice(0, 3);
    return over(own, element.parentElement ? ground(element.parentElement) : [255, 255, 255]);
  };
  const light = (color) => color.map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !element.checkVisibility() || element.matches("script, style, noscript, :disabled")) continue;
    const style = getComputedStyle(element);
    const under = ground(element);
    const [a, b] = [light(over(parts(element instanceof SVGElement ? style.fill : style.color), under)), light(under)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${element.tagName}.${element.className} ${contrast.toFixed(2)}`);
  }
  return [...new Set(faint)];
}
"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("fragment", ["", "#adapter/team%2Falpha-9%2Fadapter_config.json"])
def test_every_text_stands_out_from_its_ground(fragment: str, scheme: str, small: Path, browser: "Browser") -> None:
    with Opened(browser, small, fragment, color_scheme=scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert opened.page.evaluate(FAINT) == []


@pytest.mark.parametrize(
    ("column", "part", "orders", "first", "last"),
    [
        ("name", ".name-cell", ["ascending"], ALERT, "מתאם-גדול-מאוד-מאוד-מאוד-ארוך"),
        ("name", ".name-cell", ["ascending", "descending"], "מתאם-גדול-מאוד-מאוד-מאוד-ארוך", ALERT),
        ("rank", ".rank", ["ascending"], "8", DASH),
        ("rank", ".rank", ["ascending", "descending"], "64", DASH),
        ("s", ".s", ["ascending"], "0.25", DASH),
        ("s", ".s", ["ascending", "descending", "ascending"], "0.25", DASH),
        ("base", ".base", ["ascending"], ALERT, DASH),
        ("verdict", ".words", ["ascending", "descending"], "unreadable", "holds the policy"),
        ("findings", ".findings", ["ascending"], "none", "1 error"),
        ("findings", ".findings", ["ascending", "descending"], "1 error", "none"),
    ],
)
def test_a_click_on_a_head_sorts(
    column: str, part: str, orders: list[str], first: str, last: str, small: Path, browser: "Browser"
) -> None:
    with Opened(browser, small) as opened:
        assert [opened.sort(column) for _ in orders] == orders
        shown = opened.page.locator(f"tbody.rows {part}").all_text_contents()
        assert (shown[0], shown[-1]) == (first, last)
        again, names = opened.address, opened.names
    with Opened(browser, small, again) as opened:
        assert opened.names == names


def test_digits_in_names_count_as_numbers(small: Path, browser: "Browser") -> None:
    with Opened(browser, small, "#list?sort=name&q=team/alpha") as opened:
        assert opened.names == ["team/alpha-9", "team/alpha-10"]


def test_the_worst_stand_first(small: Path, browser: "Browser") -> None:
    with Opened(browser, small) as opened:
        assert opened.names[:4] == ["team/alpha-10", ALERT, "team/two", "team/alpha-9"]


@pytest.mark.parametrize(
    ("control", "value", "found"),
    [
        ("q", "ALPHA-1", ["team/alpha-10"]),
        ("q", "team internvl", ["team/run.sh"]),
        ("q", "nothing like it", []),
        ("verdict", "unreadable", ["team/broken"]),
        ("verdict", "undecided", ["team/asks"]),
        ("rule", "revision-unpinned", ["team/noted"]),
        ("base", "org/other", ["team/run.sh"]),
        ("framework", "internvl", ["team/run.sh"]),
        ("s", "0.5", ["team/two"]),
    ],
)
def test_a_control_filters(control: str, value: str, found: list[str], small: Path, browser: "Browser") -> None:
    with Opened(browser, small) as opened:
        named = opened.page.locator(f".filters [name={control}]")
        named.fill(value) if control == "q" else named.select_option(value)
        assert opened.names == found
        assert opened.count == f"{len(found)} of 13"
        again = opened.address
        opened.page.get_by_role("button", name="Show all").click()
        assert opened.count == "13 in all"
    with Opened(browser, small, again) as opened:
        assert opened.names == found


def test_links_of_the_summary_filter_the_table(small: Path, browser: "Browser") -> None:
    with Opened(browser, small) as opened:
        opened.page.get_by_role("link", name="1 unreadable").click()
        opened.page.locator("#list-title:focus").wait_for()
        assert opened.names == ["team/broken"]
        assert opened.focused == "All adapters"
        opened.page.evaluate("document.activeElement.blur()")
        opened.page.locator("#rule-alpha-not-2r > summary").click()
        opened.page.locator("#rule-alpha-not-2r").get_by_role("link", name="Show the adapters").click()
        opened.page.locator("#list-title:focus").wait_for()
        assert opened.count == "5 of 13"


def test_a_row_opens_the_section_of_its_adapter(small: Path, browser: "Browser") -> None:
    with Opened(browser, small) as opened:
        opened.page.locator("tbody.rows").get_by_role("link", name="team/alpha-9").click()
        section = opened.page.get_by_role("dialog", name="team/alpha-9")
        assert opened.address == "#adapter/team%2Falpha-9%2Fadapter_config.json"
        text = section.inner_text()
        assert "s is 1; the policy wants 2, so it acts at 0.5 times the strength that is meant." in text
        assert "scale is 1, policy 2r wants alpha 16" in text
        assert section.locator("pre.source").inner_text().split() == ["2", '"r":', "8,", "3", '"lora_alpha":', "8"]
        section.get_by_text("Why this matters").click()
        assert section.get_by_text("Alpha divided by the rank is the strength of the adapter").is_visible()
        section.get_by_role("button", name="Next").click()
        assert opened.page.get_by_role("dialog", name="team/run.sh").is_visible()
        opened.page.keyboard.press("Escape")
        opened.page.locator("tbody.rows a:focus").wait_for()
        assert not opened.page.locator("dialog").is_visible()
        assert opened.focused == "team/run.sh"


@pytest.mark.parametrize("at", range(len(SMALL)))
def test_every_adapter_has_an_address(at: int, small: Path, browser: "Browser") -> None:
    with Opened(browser, small) as opened:
        opened.page.locator("tbody.rows a").nth(at).click()
        title, address = opened.page.locator("dialog .title").text_content(), opened.address
    with Opened(browser, small, address, viewport={"width": 380, "height": 800}) as opened:
        assert opened.page.locator("dialog .title").text_content() == title
        assert opened.page.evaluate("document.querySelector('dialog').scrollWidth") <= 380


def test_an_address_of_nothing_opens_nothing(small: Path, browser: "Browser") -> None:
    with Opened(browser, small, "#adapter/%E0%A4%A") as opened:
        assert not opened.page.locator("dialog").is_visible()
    with Opened(browser, small, "#list?verdict=none&sort=__proto__&rule=<b>&constructor=1") as opened:
        assert opened.count == "0 of 13"


def test_it_can_be_used_with_a_keyboard_alone(small: Path, browser: "Browser") -> None:
    with Opened(browser, small) as opened:
        keyboard = opened.page.keyboard
        keyboard.press("Tab")
        assert opened.focused == "To the table of all adapters"
        assert opened.page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
        keyboard.press("Enter")
        opened.page.locator("#list-title:focus").wait_for()
        keyboard.press("Tab")
        keyboard.type("team/")
        assert opened.count == "10 of 13"
        for _ in range(6):
            keyboard.press("Tab")
        assert opened.focused == "Show all"
        keyboard.press("Tab")
        keyboard.press("ArrowDown")
        names = opened.names
        assert opened.focused == names[0]
        keyboard.press("ArrowDown")
        keyboard.press("ArrowDown")
        assert opened.focused == names[2]
        keyboard.press("End")
        assert opened.focused == names[-1]
        keyboard.press("Home")
        assert opened.focused == names[0]
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert opened.page.evaluate(outline) == "solid"
        keyboard.press("Enter")
        opened.page.locator("dialog .title:focus").wait_for()
        keyboard.press("Tab")
        assert opened.page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
        keyboard.press("Escape")
        opened.page.locator("tbody.rows a:focus").wait_for()
        assert opened.focused == names[0]
        keyboard.press("Shift+Tab")  # the scrolled region itself, then the heads of its columns before it in the page
        assert opened.page.evaluate("document.activeElement.closest('thead, .scroller') !== null")


ELAPSED = """
(act) => {
  const start = performance.now();
  new Function(act)();
  document.querySelector(".scroller").getBoundingClientRect();
  return performance.now() - start;
}
"""


@pytest.mark.parametrize(
    "act",
    [
        *(
            f"document.querySelector('th[data-column={one}] button').click()"
            for one in ("name", "base", "s", "findings")
        ),
        "const q = document.forms[0].q; q.value = q.value ? '' : 'team-9 model-2'; "
        "q.dispatchEvent(new Event('input', {bubbles: true}))",
        "const v = document.forms[0].verdict; v.value = v.value === '*' ? 'deviates' : '*'; "
        "v.dispatchEvent(new Event('input', {bubbles: true}))",
        "document.querySelector('.scroller').scrollTop += 100000",
    ],
)
def test_ten_thousand_adapters_are_sorted_filtered_and_scrolled_at_once(
    act: str, many: Path, browser: "Browser"
) -> None:
    # `new Function` is not the page's: the test may do what the page's own policy forbids.
    with Opened(browser, many, bypass_csp=True) as opened:
        assert opened.count == "10,000 in all"
        assert min(opened.page.evaluate(ELAPSED, act) for _ in range(SEVERAL)) < AT_MOST
        assert opened.page.locator("tbody.rows tr").count() < 60


def test_only_the_rows_in_sight_exist_and_all_can_be_reached(many: Path, browser: "Browser") -> None:
    with Opened(browser, many) as opened:
        opened.sort("name")
        scroller = opened.page.locator(".scroller")
        assert opened.names[0] == "team-0/adapter-0"
        scroller.focus()
        opened.page.keyboard.press("End")
        assert opened.focused == "team-96/adapter-9990"
        last = opened.page.locator("tbody.rows tr").last
        assert last.get_attribute("aria-rowindex") == "10001"
        assert opened.page.locator(".scroller table").get_attribute("aria-rowcount") == "10001"
        box, frame = opened.page.locator("tr.active").bounding_box(), scroller.bounding_box()
        assert box is not None
        assert frame is not None
        assert box["y"] + box["height"] <= frame["y"] + frame["height"] + 1
        opened.page.evaluate("document.querySelector('.scroller').scrollTop = 5000 * 38")
        rows = opened.page.locator("tbody.rows tr")
        rows.and_(opened.page.locator("[aria-rowindex='5002']")).wait_for()
        assert rows.count() < 60


def test_without_javascript_the_numbers_are_there(small: Path, browser: "Browser") -> None:
    with Opened(browser, small, java_script_enabled=False) as opened:
        assert opened.page.locator("h1").inner_text().startswith("No: 5 of ")
        assert opened.page.get_by_text("need JavaScript").is_visible()
        assert not opened.page.locator(".filters").is_visible()


def test_on_paper_stand_the_first_rows_and_no_controls(many: Path, browser: "Browser") -> None:
    with Opened(browser, many) as opened:
        assert opened.page.pdf()[:5] == b"%PDF-"
        opened.page.emulate_media(media="print")
        opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert opened.page.locator("tbody.rows tr").count() == 200
        assert not opened.page.locator(".filters").is_visible()
        assert opened.page.get_by_text("Printed: the first rows").is_visible()
