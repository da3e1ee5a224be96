"""What axe-core finds in five tabs, in light and dark, wide and on a phone."""

from typing import Any

from .browser import PHONE, WIDE, Walk
from .material import axe, sample
from .suite import Suite

# Rule and part of the element of findings in Gradio's own components. None today: the list may not grow without need.
GRADIOS_OWN: dict[str, str] = {}
_RUN = (
    """(script) => { if (!window.axe) (0, eval)(script); return axe.run(document, { resultTypes: ['violations'] }); }"""
)
_TABS = ("Batch", "Review", "Tools", "Models")


def accessibility(suite: Suite) -> None:
    """Check each state in four looks."""
    script, found, looked, own = axe(suite.cache), list[str](), 0, set[str]()
    walk = suite.visit()
    walk.ready()

    def look(state: str) -> None:
        nonlocal looked
        for size in (WIDE, PHONE):
            for dark in (False, True):
                _show(walk, size, dark)
                name = f"{state}, {'dark' if dark else 'light'}, {size[0]}"
                for rule, target, excerpt in _violations(walk, script):
                    if rule in GRADIOS_OWN and GRADIOS_OWN[rule] in excerpt + target:
                        own.add(f"{rule} {GRADIOS_OWN[rule]}")
                    else:
                        found.append(f"{rule} at {target} ({name})")
                found.extend(f"cut off: {one} ({name})" for one in walk.clipped())
                looked += 1
        _show(walk, WIDE, False)

    look("Session, empty")
    walk.ask("blur every face", sample("astronaut.jpg"))
    look("Session, plan")
    walk.page.locator("#edit").click()
    walk.page.locator("#step-1").wait_for()
    look("Session, editor")
    walk.page.locator("#back").click()
    walk.page.locator("#run").click()
    walk.done()
    walk.page.locator("#result-downloads .sl-file").first.wait_for()
    look("Session, result")
    walk.ask("translate it into French and mail it")
    look("Session, error")
    empty = []
    for tab in _TABS:
        if walk.tab(tab):
            walk.page.wait_for_timeout(500)
            look(f"{tab}, empty")
        else:
            empty.append(tab)
    if empty:
        suite.table.not_built("axe-core in tabs", "5 tabs", f"nothing in {', '.join(empty)}")
    once: dict[str, list[str]] = {}
    for one in found:
        what, _, where = one.rpartition(" (")
        once.setdefault(what, []).append(where.rstrip(")"))
    faults = [f"{what} ({len(where)} ×, first {where[0]})" for what, where in once.items()]
    for fault in faults:
        print(f"  {fault}", flush=True)
    suite.table.correct(
        "axe-core: critical or serious; words cut off", f"0 of ours, {len(GRADIOS_OWN)} known of Gradio's",
        faults, f"{looked} looks; Gradio's: {', '.join(sorted(own)) or 'none'}",
    )  # fmt: skip


def _show(walk: Walk, size: tuple[int, int], dark: bool) -> None:
    walk.page.set_viewport_size({"width": size[0], "height": size[1]})
    walk.page.emulate_media(color_scheme="dark" if dark else "light")
    walk.page.wait_for_timeout(400)


def _violations(walk: Walk, script: str) -> list[tuple[str, str, str]]:
    found: dict[str, Any] = walk.page.evaluate(_RUN, script)
    return [
        (str(violation["id"]), " ".join(map(str, node["target"])), str(node["html"]))
        for violation in found["violations"]
        if violation["impact"] in ("critical", "serious")
        for node in violation["nodes"]
    ]
