"""The plan card and its editor in a browser, by mouse, by keyboard, and as screen readers know it."""

import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("gradio")

from tests.agents.fakes import TOOLS
from tests.ui.blocks import serve_blocks
from tests.ui.serve_card import page as card_page
from tests.waiting import WAIT, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOCUSED = "document.activeElement?.closest('[id]:not([id^=range_id])')?.id"
NAMELESS = """() => [...document.querySelectorAll('#plan-card :is(input, textarea, button, a[href], progress)')]
    .filter((each) => each.getClientRects().length && !(each.getAttribute('aria-label') || each.labels?.length
        || each.textContent.trim()))
    .map((each) => each.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("card")
    with serve_blocks(lambda: card_page(folder, TOOLS), folder, folder / "home") as address:
        yield address


@pytest.fixture
def shown(browser: Any, address: str) -> Iterator["Page"]:
    """A page with a session of its own, whose plan waits; it must not complain."""
    page = browser.new_page(viewport={"width": 700, "height": 900})
    page.set_default_timeout(WAIT * 1000)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(
        "window.clicks = 0; addEventListener('click', (e) => { window.clicks += e.detail > 0; }, true)"
    )
    page.goto(f"{address}/?s={uuid.uuid4().hex}")
    page.locator("#plan .sl-lines").wait_for()
    yield page
    assert not page.evaluate(NAMELESS)
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    page.close()
    assert not [one for one in complaints if not one.startswith("AbortError: ")]


def draft(page: "Page") -> dict[str, Any]:
    """The plan in the editor, as text."""
    text = page.locator("#plan-text .cm-content")
    if not text.is_visible():
        page.locator("#as-text > button").click()
        text.wait_for()
    found: dict[str, Any] = json.loads(text.inner_text())
    return found


def settles(page: "Page", holds: Any, what: str) -> None:
    until(lambda: holds(draft(page)), what)


def heading(page: "Page", number: int) -> str:
    return page.locator(f"#step-{number} > button > span").first.inner_text()


def focused(page: "Page", wanted: str) -> None:
    until(lambda: page.evaluate(FOCUSED) == wanted, f"the focus on {wanted}")


def test_a_label_an_argument_and_a_step_take_six_clicks_and_no_json(shown: "Page") -> None:
    from playwright.sync_api import expect

    shown.locator("#edit").click()
    shown.locator("#step-1-labels input").click()
    for key in ("Backspace", "d", "o", "g", "Enter"):
        shown.keyboard.press(key)
    until(lambda: heading(shown, 1) == "1 Find things of these names: dog", "the heading of step 1")
    shown.locator("#step-2-how input").click()
    shown.get_by_role("option", name="Fill").click()
    until(lambda: heading(shown, 2) == "2 Make regions unrecognisable (how fill)", "the heading of step 2")
    expect(shown.locator("#plan-outputs .token")).to_have_text("Step 2: Make regions unrecognisable (how fill)")
    shown.locator("#add-step input").click()
    shown.get_by_role("option", name="Count what was found").click()
    expect(shown.locator("#step-3")).to_be_visible()
    assert shown.evaluate("window.clicks") <= 6
    focused(shown, "step-3-regions")
    plan = draft(shown)
    assert [step["tool"] for step in plan["steps"]] == ["detect", "blur", "count"]
    assert plan["steps"][0]["args"]["labels"] == ["dog"] and plan["steps"][1]["args"]["how"] == "fill"
    assert plan["steps"][2]["args"] == {"regions": "$s1"} and plan["outputs"] == ["$s2", "$s3"]
    # A later page finds the same draft.
    shown.reload()
    until(lambda: shown.locator("#step-3").is_visible() and heading(shown, 3).startswith("3 Count"), "the draft")
    shown.locator("#run-edited").click()
    expect(shown.locator("#plan .sl-status")).to_have_text("Done")
    expect(shown.locator("#plan li.finished")).to_have_count(3)
    expect(shown.locator("#plan-editor")).to_be_hidden()


def test_what_is_deleted_and_pasted_in_a_text_counts(shown: "Page") -> None:
    shown.locator("#edit").click()
    shown.locator("#add-step input").click()
    shown.get_by_role("option", name="Answer a question").click()
    keys = shown.keyboard
    shown.locator("#step-3-question textarea").click()
    keys.type("is it red?")
    until(lambda: heading(shown, 3) == "3 Answer a question: is it red?", "what was typed")
    keys.press("Backspace")
    until(lambda: heading(shown, 3) == "3 Answer a question: is it red", "what was deleted")
    keys.press("ControlOrMeta+a")
    keys.press("ControlOrMeta+x")
    until(lambda: heading(shown, 3) == "3 Answer a question — 1 problem", "what was cut")
    keys.press("ControlOrMeta+v")
    until(lambda: heading(shown, 3) == "3 Answer a question: is it red", "what was pasted")


def tab_to(page: "Page", wanted: str, most: int = 60) -> None:
    """Press Tab until the focus is within an element."""
    for _ in range(most):
        if page.evaluate(f"!!document.activeElement?.closest('#{wanted}')"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {wanted}")


def test_everything_by_the_keyboard_alone(shown: "Page") -> None:
    keys = shown.keyboard
    tab_to(shown, "edit")
    keys.press("Enter")
    shown.locator("#step-1-labels").wait_for()
    shown.locator("#plan-card").evaluate("(card) => { card.tabIndex = -1; card.focus(); }")
    tab_to(shown, "step-1-labels")
    shown.locator("#step-1-labels input").focus()  # past the button that removes the tag
    for key in ("Backspace", "c", "a", "t", "Enter", "Escape"):
        keys.press(key)
    tab_to(shown, "step-1-min_score")
    keys.press("ArrowUp")
    settles(
        shown,
        lambda plan: plan["steps"][0]["args"] == {"image": "$image", "labels": ["cat"], "min_score": 0.26},
        "a score",
    )
    shown.locator("#plan-card").evaluate("(card) => card.focus()")
    tab_to(shown, "add-step")
    keys.type("cou")
    keys.press("ArrowDown")
    keys.press("Enter")
    focused(shown, "step-3-regions")
    keys.press("Escape")
    tab_to(shown, "step-3-move-up")
    keys.press("Enter")
    focused(shown, "step-2-move-up")  # the focus stays with the step
    assert shown.evaluate("document.activeElement.getAttribute('aria-label')") == "Move up step 2: Count what was found"
    tab_to(shown, "step-2-duplicate")
    keys.press("Enter")
    focused(shown, "step-3-duplicate")
    tab_to(shown, "step-3-delete")
    keys.press("Enter")
    focused(shown, "step-3-delete")  # of the step that came after it
    settles(shown, lambda plan: [step["tool"] for step in plan["steps"]] == ["detect", "count", "blur"], "the order")


def test_a_problem_stands_at_its_field_and_is_linked_to_it(shown: "Page") -> None:
    from playwright.sync_api import expect

    shown.locator("#edit").click()
    shown.get_by_role("button", name="Delete step 1: Find things of these names: face").click()
    until(lambda: heading(shown, 1) == "1 Make regions unrecognisable — 1 problem", "the problem")
    field = shown.get_by_role("combobox", name="Regions")
    expect(field).to_have_attribute("aria-invalid", "true")
    note = shown.locator(f"#{field.get_attribute('aria-describedby')}")
    expect(note).to_contain_text("The step that made it was deleted. Choose another value.")
    expect(shown.locator("#run-edited")).to_be_disabled()
    # As text the plan can be anything; what is no plan is said below it.
    plan = draft(shown)
    text = shown.locator("#plan-text .cm-content")
    text.fill("{")
    expect(shown.locator("#as-text .sl-fault")).to_contain_text("not a plan")
    bad = {"id": "s9", "tool": "<img src=x>", "args": {"<img src=x> y": ["<img src=x>"]}}
    text.fill(json.dumps({**plan, "steps": [bad, *plan["steps"]], "outputs": ["$nowhere"]}))
    expect(shown.locator("#step-1 .sl-fault")).to_contain_text("There is no tool '<img src=x>'.")
    expect(shown.locator("#plan-outputs-note")).to_contain_text("'$nowhere' is not a value")
    expect(shown.locator("#as-text .sl-fault")).to_have_count(0)
    odd = shown.get_by_role("textbox", name="<img src=x> y")
    assert shown.locator(f"#{odd.get_attribute('aria-describedby')}").count() == 1
    assert shown.locator("img[src=x]").count() == 0
    # Back leaves the plan as it was.
    shown.locator("#back").click()
    expect(shown.locator("#plan .sl-lines > li")).to_have_count(2)
    expect(shown.locator("#plan")).to_contain_text("Find things of these names: face")
    shown.locator("#edit").click()
    until(lambda: heading(shown, 1) == "1 Find things of these names: face", "the first plan")


def test_a_chip_lights_up_where_its_value_comes_from(shown: "Page") -> None:
    from playwright.sync_api import expect

    found = shown.locator("#plan .sl-inputs .sl-chip[data-value=s1]")
    for act in (found.hover, found.focus):
        act()
        expect(shown.locator("#plan li[data-value=s1]")).to_have_class("waiting sl-lit")
        expect(shown.locator("#plan .sl-lit")).to_have_count(2)
        shown.locator("h1").hover()
        shown.locator("#edit").focus()
        expect(shown.locator("#plan .sl-lit")).to_have_count(0)
    expect(shown.locator("#plan .sl-origin img")).to_have_js_property("naturalWidth", 64)
    # Ids are behind a switch.
    expect(shown.locator("#plan .sl-id").first).to_be_hidden()
    shown.get_by_label("Show ids").check()
    expect(shown.locator("#plan .sl-words .sl-id").first).to_be_visible()
