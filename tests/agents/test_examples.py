"""The bank of examples, what may enter it, and which of them a planner sees."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.examples.bank import Bank, BankError, Example, Pool, normalised
from agents.examples.choose import CHOOSERS, Majority, Similar
from agents.examples.convert import NoExample, demonstration_of, fits, in_words
from agents.examples.exchange import LinesInvalid, read_lines, to_line
from agents.examples.repair import repair_examples
from agents.examples.use import Examples, open_examples, use
from agents.plan.check import wire_and_check
from agents.plan.types import cards_of, value_types
from agents.planners.backbone import RequestEncoder
from agents.planners.base import Demonstration
from agents.planners.repair import plan_request
from tests.agents.fakes import TOOLS, Scripted, plan
from tools.core.settings import settings

PICTURE = value_types({"image": "Image"})
DOGS = ("detect", {"labels": ["dog"]})
CARDS = list(cards_of(TOOLS).values())


def shown(request: str, *labels: str, have: list[str] | None = None) -> Demonstration:
    return Demonstration(
        ["Image"] if have is None else have, request, [{"tool": "detect", "args": {"labels": list(labels)}}]
    )


def example(request: str, *labels: str, **more: Any) -> Example:
    return Example(shown(request, *labels), more.pop("origin", "added"), "ada", **more)


class Letters:
    """Vectors of how often each letter is in a text; counts what it embeds."""

    def __init__(self, name: str = "letters") -> None:
        self.name, self.embedded = name, list[str]()

    def embed(self, texts: Any) -> np.ndarray:
        self.embedded += texts
        rows = np.array([[text.count(chr(97 + n)) for n in range(26)] for text in texts], np.float32).reshape(-1, 26)
        return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6), np.float32)

    def index(self, shown: Any, cards: Any) -> "LetterIndex":
        return LetterIndex([one.request for one in shown])


class LetterIndex:
    """Letters for words: an example tells something about the letters that it has."""

    def __init__(self, requests: list[str]) -> None:
        self.requests = requests

    def relevance(self, request: str) -> np.ndarray:
        return np.array([np.mean([letter in request for letter in one]) for one in self.requests], np.float32)

    def found(self, request: str) -> np.ndarray:
        return np.array([[letter in one for letter in request] for one in self.requests], np.float32)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "home" / "examples.sqlite")


def requests(bank: Bank) -> list[str]:
    return [one.demonstration.request for one in bank.all()]


# The bank


def test_reading_makes_no_file(bank: Bank) -> None:
    assert bank.all() == [] and bank.pool(Letters()).examples == [] and not bank.file.exists()


def test_a_later_plan_of_the_same_request_takes_the_place_of_the_earlier_one(bank: Bank) -> None:
    assert bank.add([example("Tag it.", "dog"), example("find it", "cat")]) == ["added", "added"]
    assert bank.add([example("tag  IT", "wolf"), example("tag it", "fox", owner="bob")]) == ["replaced", "added"]
    assert bank.add([Example(shown("tag it", "dog", have=["Audio"]), "added", "ada")]) == ["added"]
    assert [(one.demonstration.request, one.owner, one.demonstration.have) for one in bank.all()] == [
        ("find it", "", ["Image"]),
        ("tag  IT", "", ["Image"]),
        ("tag it", "bob", ["Image"]),
        ("tag it", "", ["Audio"]),
    ]
    assert normalised(" Tag it!? ") == normalised("tag\nIT") != normalised("tag its")


def test_an_example_that_is_there_stays_as_it_is(bank: Bank) -> None:
    first = example("tag it", "dog", time="2026-01-01T00:00:00+00:00")
    bank.add([first])
    bank.enable([first.id], False)
    assert bank.add([example("tag it", "dog", origin="approved")]) == ["known"]
    (kept,) = bank.all()
    assert not kept.enabled and kept.origin == "added" and kept.time == first.time


def test_examples_are_removed_and_switched_by_id_all_or_none(bank: Bank) -> None:
    ids = [example(name, "dog").id for name in ("a", "b", "c")]
    bank.add([example(name, "dog") for name in ("a", "b", "c")])
    with pytest.raises(BankError, match="There is no example zzz"):
        bank.remove([ids[0], "zzz"])
    bank.remove([ids[0]])
    bank.enable([ids[1]], False)
    assert requests(bank) == ["b", "c"]
    assert [one.id for one in bank.pool(Letters()).examples] == [ids[2]]


def test_everybody_sees_the_examples_of_the_command_line_and_their_own(bank: Bank) -> None:
    bank.add([example("ours", "dog"), example("of bob", "dog", owner="bob"), example("of eve", "dog", owner="eve")])
    assert [one.demonstration.request for one in bank.pool(Letters(), "bob").examples] == ["ours", "of bob"]
    assert [one.demonstration.request for one in bank.pool(Letters()).examples] == ["ours"]


def test_a_persons_own_plan_of_a_request_takes_the_place_of_everyones(bank: Bank) -> None:
    bank.add([example("tag it", "dog"), example("find it", "dog"), example("Tag it.", "cat", owner="bob")])
    bank.add([example("find it", "dog", owner="eve"), example("tag it", "fox", owner="eve", enabled=False)])
    seen = {who: [one.demonstration for one in bank.pool(Letters(), who).examples] for who in ("", "bob", "eve")}
    assert seen[""] == [shown("tag it", "dog"), shown("find it", "dog")]
    assert seen["bob"] == [shown("find it", "dog"), shown("Tag it.", "cat")]
    assert seen["eve"] == [shown("tag it", "dog"), shown("find it", "dog")], "an equal one once, and none that is off"


def test_the_banks_of_two_people_never_mix(bank: Bank) -> None:
    ann, ben, all_ = (Examples(bank, Similar(), Letters(), who or "ada", who) for who in ("ann", "ben", ""))
    alike, hers = shown("tag it", "dog"), shown("tag this", "cat")
    for person in (ann, ben):
        person.teach(alike, "reviewed")
    ann.keep_demonstration(hers, "approved")
    assert ann.choose("tag it", [], CARDS) == [hers, alike] and ben.choose("tag it", [], CARDS) == [alike]
    assert all_.choose("tag it", [], CARDS) == [] and not all_.holds(alike)
    with pytest.raises(BankError, match="There is no example"):
        ben.forget(hers)
    with pytest.raises(BankError, match="There is no example"):
        all_.forget(alike)
    ben.forget(alike)
    assert not ben.holds(alike) and ann.holds(alike) and ben.choose("tag it", [], CARDS) == []
    bank.enable([alike.id], False)
    assert not ann.holds(alike)
    ben.teach(alike, "reviewed")
    assert ben.holds(alike) and not ann.holds(alike), "what one of them switches on stays off for the other"
    ann.teach(alike, "reviewed")
    assert ann.holds(alike) and [one.owner for one in bank.all()] == ["ann", "ann", "ben"]
    wired, _ = wire_and_check(plan(DOGS), TOOLS, PICTURE)
    assert ann.would_show([hers.id], wired, "tag it", PICTURE, TOOLS)
    assert not ben.would_show([hers.id], wired, "tag it", PICTURE, TOOLS)


def test_vectors_are_kept_until_the_encoder_changes(bank: Bank) -> None:
    bank.add([example("abba", "dog"), example("zebra", "dog")])
    letters = Letters()
    pool = bank.pool(letters)
    assert letters.embedded == ["abba", "zebra"]
    again = bank.pool(letters)
    assert letters.embedded == ["abba", "zebra"] and np.array_equal(again.vectors, pool.vectors)
    bank.add([example("ABBA", "cat")])  # takes the place of the first
    bank.pool(letters)
    assert letters.embedded == ["abba", "zebra", "ABBA"]
    other = Letters("others")
    bank.pool(other)
    assert other.embedded == ["zebra", "ABBA"]
    bank.close()
    with closing(sqlite3.connect(bank.file)) as db, db:
        db.execute("UPDATE examples SET vector = x'00'")
    assert np.allclose(bank.pool(other).vectors, other.embed(["zebra", "ABBA"]))


def test_a_pool_is_kept_until_somebody_changes_the_file(bank: Bank) -> None:
    letters = Letters()
    bank.add([example("abba", "dog")])
    bank.pool(letters)
    pool = bank.pool(letters)
    assert bank.pool(letters) is pool
    Bank(bank.file).add([example("zebra", "dog")])
    assert len(bank.pool(letters).examples) == 2
    bank.remove([pool.examples[0].id])
    assert len(bank.pool(letters).examples) == 1 and bank.pool(letters, "bob") is not bank.pool(letters)


def test_two_processes_may_add_at_once(bank: Bank) -> None:
    banks = [bank, Bank(bank.file)]
    threads = [
        threading.Thread(target=lambda b=b, n=n: [b.add([example(f"{n} {m}", "dog")]) for m in range(20)])
        for n, b in enumerate(banks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bank.all()) == 40


def test_a_changed_byte_is_damage_and_the_command_of_the_message_mends_it(bank: Bank) -> None:
    bank.add([example(f"request {n}", "dog") for n in range(9)])
    bank.close()
    assert repair_examples(bank.file).faults == [] and repair_examples(bank.file).examples == 9
    with closing(sqlite3.connect(bank.file)) as db, db:
        db.execute("UPDATE examples SET demonstration = replace(demonstration, 'dog', 'god') WHERE words = 'request 4'")
    with pytest.raises(BankError, match=f"superlink repair {bank.file.parent}"):
        Bank(bank.file).all()
    done = repair_examples(bank.file)
    assert done.faults == ["1 of its examples are damaged"] and done.examples == 8
    assert done.kept is not None and done.kept.exists()
    assert len(Bank(bank.file).all()) == 8


def test_a_damaged_page_costs_its_own_examples_alone(bank: Bank) -> None:
    bank.add([example(f"request {n}", *(f"label {m}" for m in range(20))) for n in range(60)])
    bank.close()
    whole = bank.file.read_bytes()
    most = []
    for page in range(1, len(whole) // 4096):
        bank.file.write_bytes(whole[: page * 4096] + b"\xff" * 12 + whole[page * 4096 + 12 :])
        done = repair_examples(bank.file)
        if done.faults:
            found = Bank(bank.file)
            most.append(len(found.all()))
            found.close()
            assert done.examples == most[-1]
    assert len(most) > 3 and min(most) >= 40, most


# Plans as examples


def demonstration(request: str, *calls: Any, values: Any = PICTURE) -> Demonstration:
    wired, problems = wire_and_check(plan(*calls), TOOLS, values)
    assert not problems, problems
    return demonstration_of(wired, request, values, TOOLS)


def test_an_example_holds_what_a_planner_writes_and_no_name_of_a_value() -> None:
    values = value_types({"passport_of_ada": "Image"})
    found = demonstration("hide the dogs", DOGS, ("blur", {}), values=values)
    assert found == (["Image"], "hide the dogs", [{"tool": "detect", "args": DOGS[1]}, {"tool": "blur", "args": {}}])
    assert "passport" not in str(found)
    above = demonstration("look", DOGS, ("pose", {"regions": "above"}))
    assert above.calls[1] == {"tool": "pose", "args": {"regions": "above"}}
    paid = demonstration("what costs it?", ("ask", {"question": "$$5?"}))
    assert paid.calls == [{"tool": "ask", "args": {"question": "$5?"}}]
    assert in_words(found) == 'detect(labels=["dog"]) → blur()'


def test_a_plan_that_wiring_would_not_make_again_is_no_example() -> None:
    two = value_types({"photo": "Image", "sketch": "Image"})
    with pytest.raises(NoExample, match="names values that are not the usual ones"):
        demonstration("find the dogs", ("detect", {"image": "$photo", "labels": ["dog"]}), values=two)
    assert demonstration("find the dogs in $photo", ("detect", {"image": "$photo", "labels": ["dog"]}), values=two)
    for request, steps, why in (("  ", [DOGS], "no request"), ("x", [], "no steps"), ("x" * 5000, [DOGS], "too long")):
        with pytest.raises(NoExample, match=why):
            demonstration(request, *steps)


def test_an_example_fits_the_tools_that_have_all_that_it_calls() -> None:
    cards = cards_of(TOOLS)
    assert fits(shown("x", "dog"), cards)
    assert not fits(Demonstration([], "x", [{"tool": "detect", "args": {"names": ["dog"]}}]), cards)
    assert not fits(Demonstration([], "x", [{"tool": "gone", "args": {}}]), cards)


# Lines


def test_lines_give_the_same_examples_elsewhere(bank: Bank, tmp_path: Path) -> None:
    first = [example("tag it", "dog", origin="edited"), example("find “it”", "cat", owner="bob", enabled=False)]
    bank.add(first)
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(map(to_line, bank.all())) + "\n")
    assert "ada" not in file.read_text()
    there = Bank(tmp_path / "there.sqlite")
    assert there.add(read_lines(file, "eve")) == ["added", "added"]
    assert [(one.demonstration, one.owner, one.enabled) for one in there.all()] == [
        (one.demonstration, one.owner, one.enabled) for one in first
    ]
    assert {(one.origin, one.who) for one in there.all()} == {("imported", "eve")}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("not json", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"have": [], "request": " ", "calls": [{"tool": "detect"}]}', "request"),
        ('{"have": [], "request": "x", "calls": []}', "calls"),
        ('{"have": "Image", "request": "x", "calls": [{"tool": "detect"}]}', "have"),
        ('{"have": [], "request": "x", "calls": [{"tool": "detect", "args": {"a": {}}}]}', "an object"),
        ('{"have": [], "request": "x", "calls": [{"tool": "detect", "args": {"a": NaN}}]}', "JSON"),
        ('{"have": [], "request": "x", "calls": [{"tool": "detect", "args": {"a": "\\ud800"}}]}', "hex escape"),
        ('{"have": [], "request": "%s", "calls": [{"tool": "detect"}]}' % ("x" * 5000), "too long"),
    ],
)
def test_a_line_that_is_no_example_is_named(tmp_path: Path, line: str, why: str) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(to_line(example("tag it", "dog")) + line + "\n")
    with pytest.raises(LinesInvalid, match=f"line 2 is no example: .*{why}"):
        read_lines(file, "ada")


# Which are chosen


def pool(*requests: str, **of: list[str]) -> Pool:
    examples = [Example(shown(request, "x", have=of.get(request)), "added", "ada") for request in requests]
    return Pool(examples, Letters().embed(requests), Letters())


def test_the_most_similar_come_last_and_those_far_off_are_not_shown() -> None:
    among = pool("aaab", "aabb", "abbb", "zzzz")
    chosen = Similar().choose("aaaa", ["Image"], among, 2)
    assert [one.request for one in chosen] == ["aabb", "aaab"]
    assert [one.request for one in Similar().choose("aaaa", ["Image"], among, 9)] == ["aabb", "aaab"]
    assert Similar().choose("a", ["Image"], pool(), 2) == []


def test_of_equally_similar_ones_that_for_the_same_kinds_comes_last_then_the_newest() -> None:
    among = pool("ab", "ba", "bba", ab=["Audio"])
    assert [one.request for one in Similar().choose("abab", ["Audio"], among, 2)] == ["ba", "ab"]
    assert [one.request for one in Similar().choose("abab", ["Image"], among, 2)] == ["ab", "ba"]


def test_the_majority_list_is_fixed_and_covers_the_bank() -> None:
    among = pool("aab", "aaab", "aaaab", "zz", "zzy")
    chosen = Majority().choose("anything", ["Image"], among, 2)
    assert chosen == Majority().choose("zebra", ["Audio"], among, 2)
    assert {one.request[0] for one in chosen} == {"a", "z"} and chosen[-1].request.startswith("a")
    assert len(Majority().choose("x", [], among, 9)) == 5 and Majority().choose("x", [], pool(), 2) == []


def test_the_shipped_encoder_finds_the_like_in_other_words() -> None:
    encoder = RequestEncoder()
    house = ["tag it", "file it with the invoices", "give it the Friday treatment", "rotate the picture"]
    vectors, asked = encoder.embed(house), encoder.embed(["please tag this one", "filing the invoice", ""])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4) and not asked[2].any()
    assert [int(row) for row in (asked[:2] @ vectors.T).argmax(1)] == [0, 1]
    assert encoder.embed(()).shape == (0, vectors.shape[1]) and encoder.name.startswith("retriever-")


# What the doors use


def test_a_planner_sees_only_examples_whose_tools_are_there(bank: Bank) -> None:
    bank.add(
        [example("tag it", "dog"), Example(Demonstration([], "tag it", [{"tool": "gone", "args": {}}]), "added", "a")]
    )
    planner = Scripted([plan(("detect", {"labels": ["dog"]}))])
    attempt = plan_request("tag it", {"image": "Image"}, TOOLS, planner, Examples(bank, Similar(), Letters()))
    assert planner.shown == [[shown("tag it", "dog")]] and attempt.demonstrations == [shown("tag it", "dog")]
    bank.add([example(f"tag it {n}", "dog") for n in range(9)])
    assert len(Examples(bank, Similar(), Letters()).choose("tag", [], CARDS)) == settings().examples_shown


def test_nothing_is_kept_for_a_program_and_a_failure_to_keep_stops_nobody(
    bank: Bank, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Examples(bank, Similar(), Letters()).keep_demonstration(shown("tag it", "dog"), "approved")
    assert not bank.file.exists()
    broken = Examples(Bank(Path("/dev/null/examples.sqlite")), Similar(), Letters(), who="ada")
    broken.keep_demonstration(shown("tag it", "dog"), "approved")
    assert "could not be kept as an example" in caplog.text


def test_a_plan_that_became_an_example_is_no_change_and_any_other_is(bank: Bank) -> None:
    examples = Examples(bank, Similar(), Letters(), who="ada")
    wired, _ = wire_and_check(plan(DOGS), TOOLS, PICTURE)
    assert examples.would_show([], wired, "tag it", PICTURE, TOOLS)
    examples.keep(wired, "tag it", PICTURE, TOOLS, "approved")
    assert examples.would_show([], wired, "tag it", PICTURE, TOOLS), "the same command finds its thread again"
    assert examples.would_show([shown("tag it", "dog").id], None, "tag it", PICTURE, TOOLS)
    bank.add([example("tag it", "wolf")])
    assert not examples.would_show([], wired, "tag it", PICTURE, TOOLS), "it was corrected elsewhere"
    bank.add([example("tag it", "dog"), example("tag this", "cat")])
    assert not examples.would_show([], wired, "tag it", PICTURE, TOOLS)


def test_the_settings_say_which_are_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERLINK_EXAMPLES")
    settings.cache_clear()
    assert use().why == "by default"
    for name in ("off", *CHOOSERS):
        monkeypatch.setenv("SUPERLINK_EXAMPLES", name)
        settings.cache_clear()
        assert use() == (name, "SUPERLINK_EXAMPLES says so")
        assert (open_examples() is None) == (name == "off")
