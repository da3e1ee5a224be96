"""The report: its numbers are the ledger's, nobody's words become markup, and it asks nothing of anyone."""

import base64
import io
import json
import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil

from flows.batch.review import ReviewRouting, precision, queue, resolve
from flows.exports import export
from flows.ledger.ledger import Ledger
from tests.flows.conftest import DARKEN, FIND, Run, make, raw_sql
from tools.core.settings import settings
from tools.imaging.drawing import draw
from tools.storage.store import Store
from tools.values import Detections, Image

EVIL = ['"><img src=x onerror=alert(1)>.jpg', "&lt;b&gt;'\u202egpj.jpg"]
EVIL_LABEL = "</td></style><script src=https://example.org/x.js></script>"
KNOWN = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "header",
    "section",
    "h1",
    "h2",
    "h3",
    "p",
    "div",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "span",
    "b",
    "i",
    "code",
    "ol",
    "ul",
    "li",
    "bdi",
    "svg",
    "rect",
    "path",
    "circle",
    "text",
    "figure",
    "figcaption",
    "img",
    "details",
    "summary",
    "pre",
}
VOID = {"meta", "img"}


class Page(HTMLParser):
    """A page as a browser's parser sees it: its tags, the words in them, and tables by the heading above."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.heading = ""
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h2", "h3"):
            self.heading = ""
        if tag == "tr":
            self.tables.setdefault(self.heading, []).append([])
        if tag in ("td", "th"):
            self.tables[self.heading][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or "style" in self.open:
            return
        self.words.append(data)
        if "h2" in self.open or "h3" in self.open:
            self.heading += data
        if "td" in self.open or "th" in self.open:
            self.tables[self.heading][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def tiles(self) -> dict[str, str]:
        found = re.search(r"<div class=tiles>(.*?)</div>\n", self.source, re.DOTALL)
        assert found
        return {what: much for much, what in re.findall(r"<b>(.*?)</b><span>(.*?)</span>", found[1])}

    def pictures(self) -> dict[str, Pil.Image]:
        return {
            tag["alt"]: Pil.open(io.BytesIO(base64.b64decode(tag["src"].removeprefix("data:image/jpeg;base64,"))))
            for name, tag in self.tags
            if name == "img"
        }


def written(out: Path) -> Page:
    """Write the report of a run anew."""
    ledger = Ledger.open_existing(out)
    export(ledger, Store(settings().store_url), "report", out / "report")
    ledger.close()
    return Page(out / "report" / "report.html")


def harmless(page: Page) -> None:
    """Nothing is loaded, nothing runs, and no tag is there that the report does not write."""
    assert {tag for tag, _ in page.tags} <= KNOWN
    for tag, attributes in page.tags:
        assert not any(key.startswith("on") or key in ("href", "srcset", "style", "action") for key in attributes)
        assert "src" not in attributes or (tag == "img" and attributes["src"].startswith("data:image/jpeg;base64,"))
    style = page.source.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style
    [policy] = [attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv")]
    assert policy.startswith("default-src 'none'") and "script" not in policy


def test_the_numbers_are_the_ledgers(run: Run, pictures: Path, tmp_path: Path) -> None:
    (pictures / "twin.jpg").write_bytes((pictures / "p0000.jpg").read_bytes())
    summary = run(pictures, DARKEN, routing=ReviewRouting(band=(0, 0.4), audit=0.5))
    assert summary.exports["report"] == tmp_path / "out" / "report"
    out = tmp_path / "out"
    ledger = Ledger.open_existing(out)
    waiting = list(queue(ledger))
    audited = [one for one in waiting if one.reason == "audit"]
    resolve(ledger, audited[0].id, "rejected")
    for one in audited[1:-1]:
        resolve(ledger, one.id, "accepted")
    page = written(out)
    harmless(page)

    finds: Counter[str] = Counter()
    scores: dict[str, list[float]] = {}
    store = Store(settings().store_url)
    for _, refs in ledger.done():
        found = store.get(refs["s1"])  # type: ignore[arg-type]
        finds.update(found.labels)  # type: ignore[attr-defined]
        for one in found:  # type: ignore[attr-defined]
            scores.setdefault(one.label, []).append(one.score)
    finds[audited[0].label] -= 1
    scores[audited[0].label].remove(next(s for s in scores[audited[0].label] if s == pytest.approx(audited[0].score)))
    tiles = page.tiles()
    assert (tiles["done"], tiles["failed"]) == ("13", "3") and tiles["found"] == str(finds.total())
    assert tiles["wait for review"] == str(len(list(queue(ledger)))) != "0"
    labels = [row for row in page.tables["Found"][1:] if row[0] in finds]
    assert [(row[0], int(row[2])) for row in labels] == finds.most_common()
    assert {row[0]: row[5] for row in labels} == {label: f"{np.mean(own):.2f}" for label, own in scores.items()}
    for label, own in scores.items():
        [drawing] = re.findall(f'aria-label="Scores of {label}">(.*?)</svg>', page.source)
        bars = {
            float(low): int(count) for low, count in re.findall(r"<title>([\d.]+) to [\d.]+: (\d+)</title>", drawing)
        }
        assert bars == Counter(int(score * 20) / 20 for score in own)

    states = {row[0].split()[-1].strip("()"): row[1:] for row in page.tables["Review"][1:]}
    assert states["audit"] == ["1", str(len(audited) - 2), "0", "1"]
    assert states["band"][0] == str(len(waiting) - len(audited))
    assert [row[:3] for row in page.tables["Precision, from the random sample"][1:]] == [
        [one.label, str(one.right), str(one.audited)] for one in precision(ledger)
    ]
    for one in precision(ledger):
        assert f"{one.low:.0%} to {one.high:.0%}" in page.text
    [change] = page.tables["Changed by people"][1:]
    assert change[0] == audited[0].item and change[-1] == "rejected"

    steps = {row[0]: row for row in page.tables["Time"][1:]}
    for step, tool in (("s1", "bright"), ("s2", "darken")):
        [(calls, seconds)] = raw_sql(ledger, "SELECT count(*), sum(seconds) FROM works WHERE tool = ?", (tool,))
        # The twin's result was there already.
        assert steps[step][1:5] == [tool, str(calls), "1", "0"] and calls == 12
        number, unit = steps[step][5].split()
        assert float(number) * {"ms": 0.001, "s": 1}[unit] == pytest.approx(seconds, rel=0.05)
    assert "No weights were used." in page.text and ledger.plan.hash in page.text
    ledger.close()


def test_the_words_of_others_stay_words(run: Run, tmp_path: Path) -> None:
    folder = make(tmp_path / "in", 2, 1)
    for before, after in zip(("p0000.jpg", "bad0.jpg"), EVIL, strict=True):
        (folder / before).rename(folder / after)
    request = f"find {EVIL_LABEL}"
    run(folder, {**FIND, "request": request}, routing=ReviewRouting(audit=1.0))
    ledger = Ledger.open_existing(tmp_path / "out")
    number = next(one.id for one in queue(ledger) if one.item == EVIL[0])
    resolve(ledger, number, "corrected", EVIL_LABEL)
    ledger.close()
    page = written(tmp_path / "out")
    harmless(page)
    assert EVIL[0] in page.pictures() and page.tables["Changed by people"][1][0] == EVIL[0]
    # What turns the direction of writing is left out: the name's ending would not be seen.
    assert "&lt;b&gt;'gpj.jpg" in page.text and "\u202e" not in page.source
    assert EVIL_LABEL in [row[0] for row in page.tables["Found"]] and request in page.words


def test_only_the_edited_picture_is_shown(run: Run, pictures: Path, tmp_path: Path) -> None:
    found = Store(settings().store_url)
    out = run(pictures, DARKEN, formats=["report", "mirror"]).exports
    shown = Page(out["report"] / "report.html").pictures()["p0000.jpg"]
    ledger = Ledger.open_existing(tmp_path / "out")
    marks = next(found.get(refs["s1"]) for entry, refs in ledger.done() if entry.name == "p0000.jpg")  # type: ignore[arg-type]
    ledger.close()
    assert isinstance(marks, Detections)
    # What was found is drawn on what was made, and never on the picture as it was.
    assert apart(shown, Image.open(out["mirror"] / "p0000.png"), marks) < 4
    assert apart(shown, Image.open(pictures / "p0000.jpg"), marks) > 30
    run(pictures, FIND, formats=["report"])
    shown = Page(out["report"] / "report.html").pictures()["p0000.jpg"]
    assert apart(shown, Image.open(pictures / "p0000.jpg"), marks) < 4


def test_words_that_may_be_hidden_are_not_written_on_the_edited_picture(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    read = {"id": "s0", "tool": "spell", "args": {"image": "$image"}}
    out = run(pictures, {**DARKEN, "steps": [read, *DARKEN["steps"]]}, formats=["report", "mirror"]).exports
    ledger = Ledger.open_existing(tmp_path / "out")
    marks = next(
        Store(settings().store_url).get(refs["s1"])
        for entry, refs in ledger.done()  # type: ignore[arg-type]
        if entry.name == "p0000.jpg"
    )
    ledger.close()
    assert isinstance(marks, Detections)
    page = Page(out["report"] / "report.html")
    assert apart(page.pictures()["p0000.jpg"], Image.open(out["mirror"] / "p0000.png"), marks) < 4
    assert "STOP" not in page.text
    # Where reading is what was asked for, the words are shown.
    run(pictures, {"steps": [read], "outputs": ["$s0"]}, formats=["report"])
    assert "STOP" in Page(out["report"] / "report.html").text


def test_nothing_cut_out_is_nothing_to_show(run: Run, pictures: Path, tmp_path: Path) -> None:
    Pil.new("RGB", (90, 60)).save(pictures / "dark.png")
    cut = {"id": "s2", "tool": "quarters", "args": {"image": "$image", "regions": "$s1"}}
    out = run(pictures, {"steps": [*FIND["steps"], cut], "outputs": ["$s2"]}, formats=["report"]).exports
    page = Page(out["report"] / "report.html")
    ledger = Ledger.open_existing(tmp_path / "out")
    sizes = {
        entry.name: tuple(refs["s2"][0]["summary"][side] for side in ("width", "height"))  # type: ignore[index]
        for entry, refs in ledger.done()
        if refs["s2"]
    }
    ledger.close()
    assert "dark.png" in page.text and "dark.png" not in page.pictures() and len(page.pictures()) >= 11
    for item, shown in page.pictures().items():
        assert shown.width / shown.height == pytest.approx(sizes[item][0] / sizes[item][1], rel=0.05)


def apart(shown: Pil.Image, image: Image, marks: Detections) -> float:
    """How far a sample is from a picture with these marks on it."""
    drawn = draw(image, marks).pil.resize(shown.size)
    return float(np.abs(np.asarray(drawn, np.float32) - np.asarray(shown, np.float32)).mean())


def test_when_all_items_failed(run: Run, tmp_path: Path) -> None:
    summary = run(make(tmp_path / "in", 0, 3))
    assert list(summary.exports) == ["report"]
    page = Page(summary.exports["report"] / "report.html")
    harmless(page)
    assert page.tiles()["done"] == "0" and page.tiles()["failed"] == "3"
    assert "is empty" in page.text and "No item is done." in page.text


def test_one_item_whose_file_is_gone(run: Run, tmp_path: Path) -> None:
    folder = make(tmp_path / "in", 1)
    run(folder)
    assert list(written(tmp_path / "out").pictures()) == ["p0000.jpg"]
    (folder / "p0000.jpg").unlink()
    page = written(tmp_path / "out")
    assert not page.pictures() and "Cannot be shown" in page.text and page.tiles()["done"] == "1"


def test_ten_thousand_items_stay_a_small_page(run: Run, tmp_path: Path) -> None:
    run(make(tmp_path / "in", 1, 1))
    ledger = Ledger.open_existing(tmp_path / "out")
    raw_sql(
        ledger,
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 9999) INSERT INTO items "
        "(name, address, size, stamp, scan, state, signature, sha256, ref) SELECT printf('q%05d.jpg', n.n), "
        "address, size, stamp, scan, state, signature, sha256, ref FROM items, n WHERE name = 'p0000.jpg'",
    )
    raw_sql(
        ledger,
        "INSERT INTO steps SELECT items.id, step, steps.state, work, '', '', 0 FROM steps JOIN items "
        "WHERE items.name LIKE 'q%'",
    )
    raw_sql(
        ledger,
        "INSERT INTO items (name, address, size, stamp, scan, state, signature, error) SELECT ?, ?, 0, '', 1, "
        "'failed', signature, ? FROM items WHERE name = 'p0000.jpg'",
        *((f"x{n}.jpg", f"/in/x{n}.jpg".encode(), f"/in/x{n}.jpg is odd{n % 60}") for n in range(3000)),
    )
    raw_sql(
        ledger,
        "INSERT INTO review (item, step, sha256, place, label, score, reason, verdict, correct) "
        "VALUES (1, 's9', '', ?, 'a', 0.5, 'band', 'corrected', 'b')",
        *((n,) for n in range(500)),
    )
    ledger.close()
    page = written(tmp_path / "out")
    harmless(page)
    tiles = page.tiles()
    assert (tiles["done"], tiles["failed"]) == ("10,000", "3,001")
    assert len(page.pictures()) == 18 and len(page.source) < 3_000_000
    assert page.tables["Time"][1][2:4] == ["1", "9,999"]
    # Of 61 reasons the 40 that hit most items are listed, with ten names each.
    assert page.source.count("<details") == 41 and page.source.count("<li>") == 40 * 10 + len(FIND["steps"])
    assert "And 1,001 more items, for 21 other reasons" in page.text
    assert len(page.tables["Changed by people"]) == 51


def test_sounds_videos_and_numbers(run: Run, tmp_path: Path) -> None:
    from tools.values import Audio, Video

    sound = Audio(np.sin(np.arange(8000) / 15).astype(np.float32) / 2, 8000)
    frames = [np.full((64, 96, 3), 20, np.uint8) for _ in range(6)]
    for frame in frames[3:]:
        frame[16:48, 16:48] = (40, 200, 40)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(Video.from_frames(frames, 10, sound).to_bytes())
    hear = {"steps": [{"id": "s1", "tool": "hear", "args": {"audio": "$audio"}}], "outputs": ["$s1"]}
    run(folder, hear, formats=["report"])
    page = Page(tmp_path / "out" / "report" / "report.html")
    assert "first <half>" in page.text and not page.pictures()
    follow = {
        "steps": [
            {"id": "s1", "tool": "glow", "args": {"video": "$video"}},
            {"id": "s2", "tool": "count", "args": {"regions": "$s1"}},
        ],
        "outputs": ["$s2"],
    }
    run(folder, follow, formats=["report"])
    page = Page(tmp_path / "out" / "report" / "report.html")
    shown = np.asarray(page.pictures()["clip.mp4"].convert("RGB")).astype(int)
    # Frame 3 is the first one in which anything was found.
    assert ((shown[:, :, 1] - shown[:, :, 0]) > 80).mean() > 0.05
    [count] = [row for row in page.tables["Found"] if "Number" in row]
    assert count[3] == "1: sum 1, mean 1, from 1 to 1" and page.tiles()["found"] == "3"


def test_the_plan_is_there_to_read(run: Run, pictures: Path, tmp_path: Path) -> None:
    run(pictures, DARKEN, formats=["report"])
    page = Page(tmp_path / "out" / "report" / "report.html")
    assert "s2 darken image ← $image regions ← $s1 output" in page.text
    ledger = Ledger.open_existing(tmp_path / "out")
    assert json.loads(unescape(page.source.split("<pre>")[1].split("</pre>")[0])) == json.loads(ledger.plan.dumps())
    ledger.close()
