"""The plan as HTML: the words of others stay words."""

from html.parser import HTMLParser

from ui.plans.card import fault_html, plan_html
from ui.turns.turns import Tab

EVIL = "<img src=x onerror=alert(1)>\"'&"
PROBLEM = {"kind": "x", "step": "s1", "argument": EVIL, "message": EVIL, "hint": EVIL}
PLAN = {
    "request": EVIL,
    "steps": [
        {"id": "s1", "tool": EVIL, "args": {"image": "$image", "labels": [EVIL], EVIL: 3}},
        {"id": "s2", "tool": "redact", "args": {"regions": ["$s1", "$image"]}},
    ],
    "outputs": ["$s2"],
}


class Page(HTMLParser):
    """The tags of a piece of HTML, and its words."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert {name for name, _ in attrs} <= {"class"}
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_words_of_others_stay_words() -> None:
    tab = Tab(status="Failed", plan=PLAN, problems=[PROBLEM], warnings=[PROBLEM])  # type: ignore[arg-type,list-item]
    tab.progress = {"s1": {"state": "failed", "seconds": 0.25, "error": {"message": EVIL, "hint": ""}}}  # type: ignore[dict-item,typeddict-item]
    page = Page(plan_html(tab))
    assert set(page.tags) <= {"div", "ol", "ul", "li", "b", "i", "p", "span", "code"}
    assert page.words.count(EVIL) == 10 and "0.2 s" in page.words
    assert Page(fault_html(EVIL)).tags == ["ul", "li"] and fault_html("") == ""


def test_a_step_shows_where_its_values_come_from() -> None:
    words = Page(plan_html(Tab(status="Waits for you", plan=PLAN))).words  # type: ignore[arg-type]
    assert "regions s1 image" in words and "gives s2" in words
    assert "gives nothing" in Page(plan_html(Tab(status="Done", plan={**PLAN, "outputs": []}))).words  # type: ignore[typeddict-item,arg-type]
    assert "The plan appears here" in Page(plan_html(Tab())).words
