"""The shapes component in a browser: drawn, moved and named by mouse and keyboard, and what reaches Python."""

from collections.abc import Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("gradio")

import gradio as gr

from common.masks import fill
from tests.ui.blocks import serve_blocks
from tests.waiting import WAIT, until
from tools.values import Detections, Image, Poses
from ui.access.links import file_url
from ui.shapes.component import shapes
from ui.shapes.contract import Shapes
from ui.shapes.from_values import from_values
from ui.shapes.to_values import to_detections, to_poses

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SIZE = (120, 160)
SCRIPT = "<img src=x onerror=\"document.title='broken'\">"


def value(picture: str, **options: Any) -> Shapes:
    found = Detections([[10, 10, 60, 50], [70, 20, 150, 110]], (SCRIPT, "dog"), [0.3, 0.87], SIZE)
    people = Poses([[[30 + i, 30 + 4 * i, 0.9] for i in range(17)]], [0.6], [[20, 20, 60, 110]], SIZE)
    return from_values(picture, f"{SCRIPT}.png", SIZE, [found, people], **options)


class Shown:
    """A page with the component, and what it told Python."""

    def __init__(self, page: "Page", told: list[tuple[str, dict[str, Any], Shapes]]) -> None:
        self.page, self.told, self.joined = page, told, 0
        page.on("request", lambda request: self._count(request.url))
        self.svg = page.locator("#one svg")

    def shape(self, name: str) -> "Locator":
        return self.page.locator("#one").get_by_role("button", name=name).first

    def _count(self, url: str) -> None:
        self.joined += "/queue/join" in url

    def next(self, event: str, do: Any) -> tuple[dict[str, Any], Shapes]:
        """What Python was told last after something was done: on a busy computer each key is an event of its own."""
        before, joined = len(self.told), self.joined
        do()

        def settled() -> bool:
            self.page.evaluate("new Promise((done) => setTimeout(done, 200))")  # longer than the component waits
            told = self.told[before:]
            return self.joined - joined == len(told) and any(name == event for name, _, _ in told)

        until(settled, event)
        _, data, given = next(one for one in reversed(self.told[before:]) if one[0] == event)
        return data, given

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Any]]]:
    """Address of a page with the component, and the list of what it tells Python."""
    folder = tmp_path_factory.mktemp("shapes")
    picture = folder / "street.png"
    picture.write_bytes(Image.from_numpy(np.full((*SIZE, 3), 90, np.uint8)).to_bytes())
    told: list[tuple[str, dict[str, Any], Shapes]] = []
    commands = {"a": "accept"}
    first = value(
        file_url(picture),
        editable=True,
        draw=("box", "polygon", "joints", "outline", "brush"),
        labels=["cow"],
        commands=commands,
    )

    def note(given: Shapes, event: gr.EventData) -> None:
        told.append((str(event._data.pop("event", "")) or _event(event._data), event._data, deepcopy(given)))

    def outline(given: Shapes, event: gr.EventData) -> Shapes:
        """Answer with a square around the first point; a second one moves its right side to itself."""
        told.append(("outline", event._data, deepcopy(given)))
        (x, y, _), *others = event._data["points"]
        right = others[-1][0] if others else x + 5
        box = [x - 5, y - 5, right, y + 5]
        ring = [[x - 5, y - 5], [right, y - 5], [right, y + 5], [x - 5, y + 5]]
        return {**given, "outlined": {"serial": event._data["serial"], "rings": [ring], "box": box, "said": ""}}

    with gr.Blocks(analytics_enabled=False) as blocks:
        one = shapes(first, elem_id="one")
        again, foreign = gr.Button("again"), gr.Button("foreign")
        # Otherwise what is done before the answer to the event before has come is left out.
        one.input(note, one, None, trigger_mode="multiple")
        one.command(note, one, None, trigger_mode="multiple")
        one.outline(outline, one, one, trigger_mode="always_last")
        again.click(lambda: first, None, one)
        foreign.click(lambda: {**first, "picture": "https://192.0.2.1/x.png"}, None, one)
    with serve_blocks(lambda: blocks, folder) as address:
        yield address, told


def _event(data: dict[str, Any]) -> str:
    return "command" if "command" in data else "input"


@pytest.fixture
def shown(browser: Any, served: tuple[str, list[Any]]) -> Iterator[Shown]:
    address, told = served
    page = browser.new_page(viewport={"width": 900, "height": 900})
    page.set_default_timeout(WAIT * 1000)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.locator("#one .shape").first.wait_for()
    yield Shown(page, told)
    assert page.title() != "broken" and page.locator("#one img").count() == 0
    page.close()
    assert not complaints
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]


def test_a_box_by_mouse_reaches_python(shown: Shown) -> None:
    box = shown.svg.bounding_box()
    assert box is not None
    scale = min(box["width"] / SIZE[1], box["height"] / SIZE[0])
    left, top = box["x"] + (box["width"] - SIZE[1] * scale) / 2, box["y"] + (box["height"] - SIZE[0] * scale) / 2

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        shown.page.mouse.move(left + start[0] * scale, top + start[1] * scale)
        shown.page.mouse.down()
        shown.page.mouse.move(left + end[0] * scale, top + end[1] * scale, steps=4)
        shown.page.mouse.up()

    shown.page.get_by_role("button", name="Draw a box").click()
    data, given = shown.next("input", lambda: drag((100, 60), (130, 100)))
    assert data["action"] == "add" and given["shapes"][-1]["label"] == "cow"
    assert given["shapes"][-1]["box"] == pytest.approx([100, 60, 130, 100], abs=0.6)
    # By its middle, then by a corner.
    data, given = shown.next("input", lambda: drag((115, 80), (95, 70)))
    assert given["shapes"][-1]["box"] == pytest.approx([80, 50, 110, 90], abs=0.6)
    data, given = shown.next("input", lambda: drag((110, 90), (120, 110)))
    assert given["shapes"][-1]["box"] == pytest.approx([80, 50, 120, 110], abs=0.6)
    corrected = to_detections(
        given["shapes"], SIZE, Detections([[10, 10, 60, 50], [70, 20, 150, 110]], ("x", "dog"), [0.3, 0.87], SIZE)
    )
    assert len(corrected) == 3 and corrected.scores[2] == 1


def test_everything_by_keyboard(shown: Shown) -> None:
    shown.svg.focus()
    cross = [SIZE[1] // 2, SIZE[0] // 2]
    data, given = shown.next(
        "input", lambda: shown.keys("b", "Enter", "Shift+ArrowRight", "ArrowRight", "Shift+ArrowDown", "Enter")
    )
    made = given["shapes"][-1]
    assert data == {"action": "add", "id": made["id"]}
    assert (made["box"], made["label"], made["state"]) == ([*cross, cross[0] + 11, cross[1] + 10], "cow", "added")
    _, given = shown.next("input", lambda: shown.keys("ArrowLeft", "Shift+ArrowUp", "3"))
    assert given["shapes"][-1]["box"] == [cross[0] - 1, cross[1] - 10, cross[0] + 10, cross[1]]
    assert given["shapes"][-1]["label"] == "dog"
    # Into its corners: the first is the upper left one.
    _, given = shown.next("input", lambda: shown.keys("Enter", "ArrowLeft"))
    assert given["shapes"][-1]["box"][0] == cross[0] - 2
    data, given = shown.next("input", lambda: shown.keys("Escape", "Control+z", "Control+z"))
    assert given["shapes"][-1]["label"] == "cow"
    data, given = shown.next("input", lambda: shown.keys("Control+Shift+z"))
    assert data["action"] == "redo" and given["shapes"][-1]["label"] == "dog"
    data, given = shown.next("input", lambda: shown.keys("Delete"))
    assert data["action"] == "delete" and len(given["shapes"]) == 3

    triangle = ["g", "Enter", "Shift+ArrowRight", "Enter", "Shift+ArrowDown", "Enter", "Enter"]
    _, given = shown.next("input", lambda: shown.keys(*triangle))
    assert given["shapes"][-1]["rings"] == [[cross, [cross[0] + 10, cross[1]], [cross[0] + 10, cross[1] + 10]]]
    _, given = shown.next("input", lambda: shown.keys("Enter", "Insert"))
    assert given["shapes"][-1]["rings"][0][1] == [cross[0] + 5, cross[1]]
    # A shape of Python's is marked as deleted, one joint as moved.
    shown.shape("dog, 0.87").focus()
    _, given = shown.next("input", lambda: shown.keys("Delete"))
    assert [shape["state"] for shape in given["shapes"]] == ["", "deleted", "", "added"]
    shown.shape("person, 0.60").focus()
    _, given = shown.next("input", lambda: shown.keys("Enter", "Tab", "Shift+ArrowRight"))
    assert given["shapes"][2]["joints"][1] == [41, 34, 1]
    assert to_poses(given["shapes"], SIZE).keypoints[0, 1].tolist() == [41, 34, 1]
    data, _ = shown.next("command", lambda: shown.keys("a"))
    assert data == {"command": "accept"}


def test_scores_and_labels_filter(shown: Shown) -> None:
    count = shown.page.locator("#one .count")
    until(lambda: count.inner_text() == "3 of 3", "all shapes")
    shown.svg.focus()
    data, given = shown.next("input", lambda: shown.page.get_by_label("Score from").fill("0.5"))
    assert data["action"] == "filter" and given["threshold"] == 0.5
    assert count.inner_text() == "2 of 3" and not shown.shape("0.30").is_visible()
    _, given = shown.next("input", lambda: shown.page.get_by_role("button", name="dog 1", exact=True).click())
    assert given["hidden"] == ["dog"] and count.inner_text() == "1 of 3"
    shown.svg.focus()
    shown.keys("h")
    assert not shown.shape("person, 0.60").is_visible()


def test_shapes_are_named_and_zoom_keeps_the_picture(shown: Shown) -> None:
    # Markup in a label is a name like any other.
    assert shown.shape(f"{SCRIPT}, 0.30").is_visible()
    shown.svg.focus()
    shown.keys("+", "+", "-")
    assert shown.svg.get_attribute("viewBox") != "0 0 160 120"
    shown.keys("0")
    assert shown.svg.get_attribute("viewBox") == "0 0 160 120"
    shown.shape("dog, 0.87").hover()
    assert shown.page.locator("#one .tip").inner_text() == "dog, 0.87"


def test_pictures_of_other_hosts_are_not_asked_for(shown: Shown) -> None:
    image = shown.page.locator("#one image")
    assert str(image.get_attribute("href")).startswith("http://127.0.0.1")
    shown.page.get_by_role("button", name="foreign").click()
    until(lambda: image.get_attribute("href") is None, "no picture")


def test_what_is_clicked_is_outlined_by_python_and_corrected_by_further_points(shown: Shown) -> None:
    shown.svg.focus()
    x, y = SIZE[1] // 2, SIZE[0] // 2
    data, given = shown.next("input", lambda: shown.keys("o", "Enter"))
    made = given["shapes"][-1]
    assert (data["action"], made["type"], made["box"]) == ("add", "polygon", [x - 5, y - 5, x + 5, y + 5])
    # The second point is outside of the thing; the same shape changes.
    data, given = shown.next("input", lambda: shown.keys("Shift+ArrowLeft", "Shift+Enter"))
    points = next(asked["points"] for name, asked, _ in reversed(shown.told) if name == "outline")
    assert points == [[x, y, True], [x - 10, y, False]]
    assert (data, len(given["shapes"])) == ({"action": "change", "id": made["id"]}, 4)
    assert given["shapes"][-1]["box"] == [x - 5, y - 5, x - 10, y + 5]
    # An answer of Python's forgets nothing of what can be undone.
    _, given = shown.next("input", lambda: shown.keys("Control+z"))
    assert given["shapes"][-1]["box"] == made["box"]
    # What was selected is what is outlined; a click does the same.
    shown.keys("Escape")
    shown.shape("dog, 0.87").focus()
    shown.keys("ArrowLeft", "o")
    box = shown.svg.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    _, given = shown.next("input", lambda: shown.page.mouse.click(*middle))
    changed = given["shapes"][1]
    assert (changed["label"], changed["type"], changed["reshaped"]) == ("dog", "polygon", True)
    assert changed["box"] == pytest.approx([x - 5, y - 5, x + 5, y + 5], abs=0.6)


def test_a_brush_paints_masks_and_wipes_parts_out(shown: Shown) -> None:
    shown.svg.focus()
    x, y = SIZE[1] // 2, SIZE[0] // 2

    def pixels(given: Shapes) -> Any:
        return fill(given["shapes"][-1]["rings"], SIZE)

    data, given = shown.next("input", lambda: shown.keys("m", "Enter"))
    made = given["shapes"][-1]
    assert (data["action"], made["type"], made["box"]) == ("add", "polygon", [x - 2, y - 2, x + 2, y + 2])
    assert pixels(given)[y - 1 : y + 1, x - 1 : x + 1].all() and 8 <= pixels(given).sum() <= 16
    size = shown.page.get_by_label("Brush size")
    size.fill("20")
    shown.svg.focus()
    _, given = shown.next("input", lambda: shown.keys("Enter"))
    wide = pixels(given)
    assert 280 <= wide.sum() <= 340 and len(given["shapes"]) == 4
    # A hole, and then a second part of the same shape.
    size.fill("8")
    shown.svg.focus()
    _, given = shown.next("input", lambda: shown.keys("Shift+Enter"))
    assert not pixels(given)[y, x] and 40 <= wide.sum() - pixels(given).sum() <= 60
    _, given = shown.next(
        "input", lambda: shown.keys("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Enter")
    )
    assert len(given["shapes"][-1]["rings"]) == 3 and pixels(given)[y, x + 30] and not pixels(given)[y, x]
    # The next tool goes on with the same shape, and nothing has moved.
    place = shown.svg.bounding_box()
    shown.keys("Escape")
    assert not size.is_visible() and shown.svg.bounding_box() == place
    data, _ = shown.next("input", lambda: shown.keys("o", "Enter"))
    assert data == {"action": "change", "id": made["id"]}
    # Another picture, or the same anew, ends it.
    shown.page.get_by_role("button", name="again").click()
    until(lambda: shown.page.locator("#one .shape").count() == 3, "the first value")
    assert shown.page.get_by_role("button", name="Outline what is clicked").get_attribute("aria-pressed") == "false"
