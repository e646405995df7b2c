"""The documentation in headless Chromium, and its page that scores in the browser: `make test-browser`."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pandas as pd
import pytest

import sk_finalmlp

pytest.importorskip("playwright", reason="needs the dependency group browser")
SITE = os.environ.get("SITE")
CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
pytestmark = [
    pytest.mark.skipif(SITE is None, reason="needs a built site, whose folder SITE names"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome"),
]
PAGE, MODEL, READY = "guide/browser.html", "_static/scoring/clicks.model", "#scoring-user:enabled"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def address():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    with server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(
    scope="module",
    params=[
        {"viewport": {"width": 1280, "height": 900}},
        {"viewport": {"width": 360, "height": 740}, "has_touch": True},
    ],
    ids=["desktop", "phone"],
)
def page(request, chromium, address):
    """The page, ready and with what the test before chose; it may ask no other host, and nothing may go wrong on it."""
    with chromium.new_context(**request.param) as context:
        page = context.new_page()
        page.wrong = []
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
        page.on("request", lambda asked: None if asked.url.startswith(address) else page.wrong.append(asked.url))
        page.goto(f"{address}/{PAGE}")
        page.wait_for_selector(READY)
        yield page
        assert page.wrong == []


@pytest.fixture(scope="module")
def model():
    return sk_finalmlp.load(Path(SITE, MODEL))


def shown(page):
    """Item and probability of each bar, from top to bottom."""
    rows = page.locator("#scoring-chart li")
    return {row.locator("b").inner_text(): float(row.locator("data").get_attribute("value")) for row in rows.all()}


def expected(page, model, user, device, hour):
    """What the pipeline says of the candidates of the page."""
    choices = page.evaluate("fetch('../_static/scoring/choices.json').then((answer) => answer.json())")
    segments = {known["user"]: known["segment"] for known in choices["users"]}
    time = pd.Timestamp(choices["day"], unit="us") + pd.Timedelta(hours=hour)
    X = pd.DataFrame(choices["items"]).assign(user=user, segment=segments.get(user), device=device, time=time)
    X["segment"] = X["segment"].astype("str")
    probability = model.predict_proba(X[model.feature_names_in_])[:, 1]
    return dict(zip(X["item"], probability.tolist(), strict=True))


def choose(page, name, value, label_of_typed):
    """Choose a value, or type one that isn't among those to choose from."""
    known = page.locator(f"#scoring-{name} option").evaluate_all("(options) => options.map((option) => option.value)")
    page.locator(f"#scoring-{name}").select_option(value if value in known else "")
    typed = page.get_by_label(label_of_typed)
    if value in known:
        assert typed.is_hidden()
    else:
        typed.fill(value)


def wait_until_shown(page, probabilities):
    page.wait_for_function(
        "([item, value]) => [...document.querySelectorAll('#scoring-chart li')].some((row) =>"
        " row.querySelector('b').textContent === item && Math.abs(row.querySelector('data').value - value) < 1e-5)",
        arg=max(probabilities.items(), key=lambda entry: entry[1]),
    )


@pytest.mark.parametrize(
    ("user", "device", "hour"), [("user_3", "laptop", 0), ("user_11", "phone", 23), ("a stranger", "telex", 8)]
)
def test_numbers_are_those_of_the_pipeline(page, model, user, device, hour):
    choose(page, "user", user, "Id of the other user")
    choose(page, "device", device, "Name of the other device")
    page.get_by_label("Hour").fill(str(hour))
    probabilities = expected(page, model, user, device, hour)
    wait_until_shown(page, probabilities)
    assert shown(page) == pytest.approx(probabilities, abs=1e-5)
    assert list(shown(page).values()) == sorted(shown(page).values(), reverse=True)
    best = max(probabilities, key=probabilities.get)
    page.get_by_role("status").filter(has_text=f"{best} comes first with {100 * probabilities[best]:.1f} %").wait_for()


def test_the_keyboard_alone_is_enough(page, model):
    page.reload()
    page.wait_for_selector(READY)
    page.locator("h1").click()
    while page.evaluate("document.activeElement.id") != "scoring-user":
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    probabilities = expected(page, model, "user_1", "tablet", 23)
    wait_until_shown(page, probabilities)
    assert shown(page) == pytest.approx(probabilities, abs=1e-5)
    assert page.get_by_label("Hour").get_attribute("aria-valuetext") == "23:00"


def test_rows_appear_where_they_stay(chromium, address):
    moved = "Element.prototype.animate = function () { window.moved = true; }"
    with chromium.new_context(viewport={"width": 390, "height": 740}) as context:
        page = context.new_page()
        page.add_init_script(moved)
        page.goto(f"{address}/{PAGE}")
        page.wait_for_selector(READY)
        assert page.evaluate("window.moved") is None


def test_nothing_is_wider_than_the_screen(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_bars_stand_out_in_both_schemes(page, scheme):
    page.emulate_media(color_scheme=scheme)
    contrast = """(selector) => {
        const luminance = (color) => {
            const [r, g, b] = color.match(/[\\d.]+/g).map((part) => part / 255)
                .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const element = document.querySelector(selector);
        const style = getComputedStyle(element);
        const fills = selector.endsWith("fill");
        const painted = fills ? style.backgroundColor : style.color;
        const ground = getComputedStyle(fills ? element.parentElement : document.body).backgroundColor;
        const [high, low] = [luminance(painted), luminance(ground)].sort((a, b) => b - a);
        return (high + 0.05) / (low + 0.05);
    }"""
    # The least that WCAG 2 asks for: 4.5 of text, 3 of what is drawn.
    assert page.evaluate(contrast, ".scoring-label small") >= 4.5
    assert page.evaluate(contrast, ".scoring-number") >= 4.5
    assert page.evaluate(contrast, ".scoring-fill") >= 3


# The longest line of each block that its column doesn't hold.
CUT = """() => [...document.querySelectorAll('.bd-article pre')]
    .filter((code) => code.scrollWidth > code.clientWidth)
    .map((code) => code.textContent.split('\\n').sort((a, b) => b.length - a.length)[0])"""

# What is wider than its place, but printed output, formulas, shortened titles and tables of four columns or more.
WIDE = """() => [document.documentElement, ...document.querySelectorAll('body *')]
    .filter((element) => element.scrollWidth > element.clientWidth + 1
        && (element === document.documentElement || getComputedStyle(element).overflowX !== 'visible')
        && element.checkVisibility() && element.clientWidth > 1
        && !element.matches('pre, .formula, .ellipsis, .pst-scrollable-table-container:has(th:nth-child(4))'))
    .map((element) => `${element.tagName} ${element.className}: ${element.textContent.trim().slice(0, 60)}`)"""


@pytest.fixture(scope="module")
def measured(chromium):
    """What each page cuts off on a laptop, and what is too wide on a phone."""
    pages = [path for path in Path(SITE).rglob("*.html") if "_static" not in path.parts]
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        return {str(path.relative_to(SITE)): measure(page, path) for path in pages}


def measure(page, path):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(path.resolve().as_uri())
    cut = page.evaluate(CUT)
    page.set_viewport_size({"width": 390, "height": 844})
    return {"cut": cut, "wide": page.evaluate(WIDE)}


def test_no_code_is_cut_on_a_laptop(measured):
    assert {name: found["cut"] for name, found in measured.items() if found["cut"]} == {}


def test_nothing_but_wide_tables_scrolls_sideways_on_a_phone(measured):
    assert {name: found["wide"] for name, found in measured.items() if found["wide"]} == {}


@pytest.mark.parametrize("estimator", [sk_finalmlp.CTREncoder(), sk_finalmlp.FinalMLPClassifier()])
def test_parameters_fold_into_groups_that_name_them(chromium, estimator):
    path = Path(SITE, "api", "generated", f"sk_finalmlp.{type(estimator).__name__}.html")
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(path.resolve().as_uri(), wait_until="domcontentloaded")
        groups = page.locator("details.parameters")
        assert groups.count() > 3
        assert sorted(groups.locator("summary code").all_inner_texts()) == sorted(estimator.get_params(deep=False))
        groups.last.locator("summary").click()
        assert page.get_by_text("verbose").last.is_visible()
