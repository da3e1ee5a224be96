"""The training data: readable, the same by seed, and free of the test sets."""

import json
import random
import re
from pathlib import Path

import pytest

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.cards import parameters
from backbone.planner.layout import Layout
from backbone.training.compound import Composer, joined
from backbone.training.dataset import TrainingDataset
from backbone.training.phrasings import (
    PhrasingInvalid,
    _have,
    _phrasing,
    chains,
    pools,
    requests,
)
from backbone.training.samples import fill, held_out, join, slots_for
from backbone.training.synthetic_tools import draw_request, draw_tool
from backbone.training.tool_templates import _wording, argument_groups, outputs, tool_templates

from .test_grammar import check_types


def test_every_line_can_be_read() -> None:
    assert len(requests()) > 4500
    names = [tool.names[0] for tool in tool_templates()]
    assert len(names) == len(set(names)) > 400
    assert len(argument_groups()) > 100
    assert set(chains().on) == {"Audio", "Video", "Image"} and chains().after and chains().before
    assert len(pools().things) > 900
    tools = {name for phrasing in requests() for name, _, _ in phrasing.calls}
    assert tools == set(BUILTIN_CARDS)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("find it -> detect(x)", "no '=>'"),
        ("a => fly(x)", "no tool"),
        ("paint it => edit", "spans"),
        ("all => detect", "without labels"),
    ],
)
def test_a_bad_line_is_named(line: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        _phrasing(line, (), "x")
    assert issubclass(PhrasingInvalid, ValueError)


def test_sections_say_what_is_at_hand() -> None:
    assert _have("@media image+audio") == ("Image", "Audio")
    assert _have("@media none") == ()
    assert _have("@have image, Detections") == ("Image", "Detections")


def test_filled_plans_have_the_types_of_the_tools() -> None:
    rng = random.Random(1)
    for phrasing in requests():
        sample = fill(phrasing, rng)
        check_types(list(sample.calls), BUILTIN_CARDS)
        assert "{" not in sample.request and "[" not in sample.request, phrasing


def test_spans_are_copied_from_the_request() -> None:
    rng = random.Random(2)
    for phrasing in requests():
        sample = fill(phrasing, rng)
        for call in sample.calls:
            for name in ("prompt", "question", "text"):
                if name in call["args"]:
                    assert call["args"][name].lower().rstrip(".!?") in sample.request.lower()


def test_made_up_tools_are_drawn_afresh() -> None:
    tool = tool_templates()[0]
    cards = [draw_tool(tool, random.Random(seed)).card for seed in range(30)]
    assert len({card["name"] for card in cards}) > 5
    synthetic = draw_tool(tool, random.Random(1))
    assert not set(synthetic.asks) & set(synthetic.card["examples"])
    sample = draw_request(synthetic, random.Random(2))
    assert sample.calls[0]["tool"] == synthetic.card["name"]
    assert set(sample.calls[0]["args"]) <= set(synthetic.card["params"])


def test_every_request_for_a_made_up_tool_fits_its_card() -> None:
    """Also with further arguments, exchanged values and other calls: the grammar could write the plan."""
    rng = random.Random(4)
    for tool in tool_templates():
        synthetic = draw_tool(tool, rng, argument_groups())
        for _ in range(6):
            sample = draw_request(synthetic, rng)
            assert "[" not in sample.request and "{" not in sample.request
            (call,) = [call for call in sample.calls if call["tool"] == synthetic.card["name"]]
            assert set(synthetic.card["required"]) <= set(call["args"])
            for parameter in parameters(synthetic.card):
                value = call["args"].get(parameter.name)
                match parameter.kind if value is not None else "absent":
                    case "text" if not parameter.many:
                        assert value.lower().rstrip(".!?") in sample.request.lower()
                    case "choice":
                        assert value in parameter.choices
                    case "number" | "integer":
                        float(value)  # digits as in the request
                    case "boolean":
                        assert value in (True, False)


def test_further_arguments_are_on_the_card() -> None:
    tool = tool_templates()[0]
    tools = [draw_tool(tool, random.Random(seed), argument_groups()) for seed in range(20)]
    more = [synthetic for synthetic in tools if synthetic.extras]
    assert more and len(more) < len(tools)
    for synthetic in more:
        assert {name for extra in synthetic.extras for name in extra.names.values()} <= set(synthetic.card["params"])
    assert any(
        set(draw_request(synthetic, random.Random(1)).calls[0]["args"]) - set(synthetic.names.values())
        for synthetic in more
    )


def test_no_tool_of_the_test_set_was_trained_on() -> None:
    from benchmarks import chain_tools, unseen_tools

    tested = {name for name in vars(unseen_tools) | vars(chain_tools) if not name.startswith("_")}
    assert {"make_teams", "cue_cards"} <= tested
    assert not tested & {name for tool in tool_templates() for name in tool.names}


def test_joined_requests_keep_both_plans() -> None:
    rng = random.Random(5)
    first, second = (fill(p, rng) for p in requests()[:2])
    assert join(first, second, rng).calls == (*first.calls, *second.calls)


def test_rows_are_the_same_by_seed(layout: Layout) -> None:
    one, two, other = TrainingDataset(layout, 3), TrainingDataset(layout, 3), TrainingDataset(layout, 4)
    assert one.row(11, 512) == two.row(11, 512)
    assert one.row(11, 512) != other.row(11, 512)


def test_rows_have_their_length_whatever_the_examples(layout: Layout) -> None:
    rows = TrainingDataset(layout, 3)
    assert {len(rows.row(index, 256).ids) for index in range(40)} == {256}


def test_slots_are_drawn_in_one_order_whatever_the_process() -> None:
    found = slots_for("{o5} {a3} {o} {os4} {o2} {a1}", random.Random(1))
    assert [name for name in found if name.startswith("os")] == ["os", "os1", "os2", "os3", "os4", "os5"]


def test_a_row_hides_requests_from_each_other(layout: Layout) -> None:
    from backbone.training.planner import attention_mask

    row = TrainingDataset(layout, 3).row(8, 2048)
    import torch

    seen = attention_mask(torch.tensor([row.block]))[0, 0]
    last = max(row.block)
    inside = row.block.index(last)
    assert seen[inside, inside]
    for position, block in enumerate(row.block[:inside]):
        assert bool(seen[inside, position]) == (block == 0)


def test_validation_never_sees_training(layout: Layout) -> None:
    trained, unseen = TrainingDataset(layout, 1), TrainingDataset(layout, 1, validation=True)
    assert not {p.request for p in trained.phrasings} & {p.request for p in unseen.phrasings}
    assert unseen.phrasings and all(held_out(p) for p in unseen.phrasings)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z']+", text.lower()))


def _alike(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


@pytest.fixture(scope="module")
def trained_on() -> dict[frozenset[str], str]:
    """Return the training requests as plain text, with their words."""
    written = [p.request for p in requests()] + [
        asked.words for tool in tool_templates() for asked in (*tool.asks, *tool.clauses)
    ]
    plain = [re.sub(r"\[\w+=[^|\]]*\|([^\]]*)\]|\[(?:\w+=)?([^\]]*)\]", r"\1\2", text) for text in written]
    return {_words(text): text for text in plain}


def close_to(judged: Path, trained: dict[frozenset[str], str]) -> list[tuple[str, str]]:
    """Return the requests of a test set that are worded like a training request."""
    asked = {
        request: _words(request)
        for request in (json.loads(line)["request"] for line in judged.read_text().splitlines())
    }
    assert asked
    return [
        (request, text)
        for request, said in asked.items()
        if len(said) > 3
        for words, text in trained.items()
        if 0.76 * len(said) <= len(words) <= len(said) / 0.76  # others cannot be alike; this is much faster
        and _alike(said, words) >= 0.76
    ]


@pytest.mark.parametrize("group", ["", "unseen_", "chain_", "wordy_"])
def test_no_request_of_a_benchmark_is_in_training(group: str, trained_on: dict[frozenset[str], str]) -> None:
    """No training request is worded like one of the test sets."""
    assert not close_to(Path(__file__).parents[2] / "benchmarks" / f"{group}requests.jsonl", trained_on)


def test_no_test_request_is_in_training(shared: Path, trained_on: dict[frozenset[str], str]) -> None:
    assert not close_to(shared / "planning" / "dev.jsonl", trained_on)


def test_what_is_worded_alike_is_found(tmp_path: Path, trained_on: dict[frozenset[str], str]) -> None:
    (tmp_path / "judged.jsonl").write_text(json.dumps({"request": "Please count all of the dogs in this picture"}))
    likeness = {
        _words("count all of the dogs in this picture"): "count all of the [dogs] in this picture",
        _words("no"): "no",
    }
    assert [text for _, text in close_to(tmp_path / "judged.jsonl", likeness)] == [
        "count all of the [dogs] in this picture"
    ]
    assert all("[" not in text for text in trained_on.values())


def test_composed_requests_are_chains_that_can_run(layout: Layout) -> None:
    """Each step has its inputs; what a step makes is not written out; several tools of both kinds are joined."""
    dataset = TrainingDataset(layout, 1)
    rng, lengths, joined_kinds = random.Random(6), set(), 0
    for _ in range(300):
        tools = [draw_tool(template, rng, dataset.groups) for template in dataset.catalogue(rng)]
        sample = dataset.composer.compose(rng, tools)
        if sample is None:
            continue
        cards = {**BUILTIN_CARDS, **{tool.card["name"]: tool.card for tool in tools}}
        kinds = set(sample.have)
        for call in sample.calls:
            kinds |= outputs(cards[call["tool"]], kinds)
        lengths.add(len(sample.calls))
        joined_kinds += any(call["tool"] in BUILTIN_CARDS for call in sample.calls) and any(
            call["tool"] not in BUILTIN_CARDS for call in sample.calls
        )
        for call in sample.calls:
            if "text" in cards[call["tool"]]["inputs"] and "text" in call["args"]:
                assert call["args"]["text"].lower().rstrip(".!?") in sample.request.lower()
    assert lengths == {2, 3, 4, 5, 6}
    assert joined_kinds > 60


def test_clauses_are_told_forwards_and_backwards() -> None:
    rng = random.Random(1)
    told = {joined(["blur it", "read it"], rng).lower() for _ in range(300)}
    assert "before you read it, blur it" in told and "first blur it, then read it" in told
    assert all("blur it" in words and "read it" in words for words in told)
    assert not any(words.startswith("before you blur it") for words in told)


def test_a_wording_says_which_other_steps_it_asks_for() -> None:
    found = _wording(
        "flags over the {os}, and their number => detect({os}) * count", ("Image", "Detections"), "Image", False
    )
    assert found.words == "flags over the {os}, and their number"
    assert found.have == ("Image",)
    assert [name for name, _, _ in found.before] == ["detect"]
    assert [name for name, _, _ in found.after] == ["count"]
    assert _wording("order it by date => video: transcribe", ("Text",), "Text", True).have == ("Video",)
    assert _wording("order it by date => transcribe", ("Text",), "Text", True).have == ("Audio",)
    assert _wording("order [text=c. b. a.]", ("Text",), "Text", True).have == ()
    assert _wording("order it", ("Text",), "Text", True).have is None


@pytest.mark.parametrize(
    ("line", "takes", "fault"),
    [
        ("flags over the dogs => caption", ("Image", "Detections"), "no step before the tool makes"),
        ("count hats => read_text count *", ("Image",), "count needs Detections"),
        ('lower "[text=Hello.]"', ("Audio",), "takes no text"),
    ],
)
def test_steps_that_cannot_run_are_named(line: str, takes: tuple[str, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        _wording(line, takes, "Text", "Text" in takes)


def test_tools_described_alike_are_neighbours(layout: Layout) -> None:
    """The tools nearest to one take the same kinds and differ in one respect of their descriptions."""
    dataset = TrainingDataset(layout, 1)
    by_name = {template.names[0]: template for template in dataset.templates}
    near = dataset.alike(by_name["opening_sentences"], 4)
    assert near[0].names[0] == "opening_sentences" and len(near) == 4
    assert {"closing_sentences", "longest_sentences"} <= {template.names[0] for template in near}
    assert all(set(template.takes) == {"Text"} for template in near)


@pytest.mark.parametrize("plan", ["detect(; min_score=0.5)", "detect()", "track()"])
def test_everything_has_no_labels(plan: str) -> None:
    (call,) = _phrasing(f"all there is => {plan}", ("Image",), "x").calls
    assert call[1] == ()


def test_a_pronoun_speaks_of_what_the_clause_before_found() -> None:
    found, changed = (
        _phrasing(line, ("Image",), "x") for line in ("find the {os} => detect({o})", "brighten [it all] => edit")
    )
    composer = Composer([found, changed, _phrasing("count them => count", ("Image", "Detections"), "x")])
    rng, before = random.Random(1), []
    for _ in range(200):
        called = [call["tool"] for call in sample.calls] if (sample := composer.compose(rng, ())) else []
        before += [one for one, next_one in zip(called, called[1:], strict=False) if next_one == "count"]
    assert set(before) == {"detect"}
