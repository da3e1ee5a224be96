"""Running tools on stored values: provenance, mapping, batches, memory, and errors that say where."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools import Batch, Detections, Image, Number, Store, Text, ToolError, tool
from tools.errors import ArgumentsInvalid, MediaError, SuperlinkError
from tools.execute import call, call_many
from tools.resident import resident
from tools.weights import record


def _image(shade: int) -> Image:
    return Image.from_numpy(np.full((2, 2, 3), shade, np.uint8))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@tool
def brighten(image: Image, by: int = 10, mask: Image | None = None) -> Image:
    """Make it brighter."""
    if image.pixels[0, 0, 0] == 99:
        raise ValueError("shade 99 is broken")
    return Image.from_numpy(image.pixels + np.uint8(by))


@tool
def split(image: Image) -> list[Image]:
    """Split it in two."""
    return [image, image]


@tool
def length(text: Text) -> Number:
    """Count characters."""
    return Number(len(text.text))


@tool
def join(images: list[Image]) -> Number:
    """Count pictures."""
    return Number(len(images))


sizes: list[int] = []


@tool
def shades(images: Batch[Image], room: int = 100) -> Batch[Number]:
    """Tell the shades."""
    sizes.append(len(images))
    if len(images) > room:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
    if any(image.pixels[0, 0, 0] == 99 for image in images):
        raise ValueError("shade 99 is broken")
    return [Number(int(image.pixels[0, 0, 0])) for image in images]


def test_results_carry_provenance(store: Store) -> None:
    given = store.put(_image(5))
    ref = call(brighten, {"image": given, "by": 7}, store, "s1")
    assert isinstance(ref, dict)
    assert store.get(ref) == _image(12)
    provenance = ref["provenance"]
    assert provenance["args"] == {"by": 7}
    assert provenance["inputs"] == [given["sha256"]]
    assert (provenance["step"], provenance["tool"], provenance["version"]) == ("s1", "brighten", "1")
    assert provenance["seconds"] >= 0 and provenance["time"].endswith("+00:00")


def test_the_seconds_of_a_batch_are_shared_by_its_calls(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 108.0])
    monkeypatch.setattr("tools.execute.time.perf_counter", lambda: next(clock))
    results = call_many(shades, [{"images": store.put(_image(shade))} for shade in range(4)], store, "s1")
    assert [ref["provenance"]["seconds"] for ref in results if isinstance(ref, dict)] == [2.0] * 4


def test_weights_are_noted_even_when_they_were_loaded_before(store: Store) -> None:
    @resident(bytes=1, device="cpu")
    def model() -> str:
        record([{"id": "m", "sha256": "0" * 64, "licence": "MIT"}])
        return "model"

    @tool
    def ask_model(image: Image) -> Text:
        """Ask."""
        return Text(model())

    for _ in range(2):
        ref = call(ask_model, {"image": store.put(_image(1))}, store)
        assert isinstance(ref, dict)
        assert [used["id"] for used in ref["provenance"]["weights"]] == ["m"]


def test_lists_are_mapped_and_joined(store: Store) -> None:
    refs = [store.put(_image(n)) for n in (1, 2, 3)]
    assert [store.get(ref) for ref in call(brighten, {"image": refs}, store)] == [_image(11), _image(12), _image(13)]
    assert len(call(split, {"image": refs}, store)) == 6
    assert call(brighten, {"image": []}, store) == []
    assert store.get(call(join, {"images": refs}, store)) == Number(3)
    assert store.get(call(join, {"images": refs[0]}, store)) == Number(1)
    assert len(call(brighten, {"image": refs, "mask": refs}, store)) == 3
    with pytest.raises(ArgumentsInvalid, match="lists of 2 and 3"):
        call(brighten, {"image": refs, "mask": refs[:2]}, store)


def test_words_and_stand_ins_are_taken_for_text(store: Store) -> None:
    ref = call(length, {"text": "hello"}, store)
    assert isinstance(ref, dict) and store.get(ref) == Number(5)
    assert ref["provenance"]["args"] == {"text": "hello"} and ref["provenance"]["inputs"] == []
    assert store.get(call(length, {"text": store.put(Number(1234))}, store)) == Number(4)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "image: is missing"),
        ({"image": None}, "image: is missing"),
        ({"image": 3}, "reference to a stored value"),
        ({"image": "words"}, "takes Image, not Text"),
        ({"image": "REF", "by": "x"}, "by: "),
        ({"image": "REF", "contrast": 3}, "contrast: there is no such parameter"),
        ({"image": [], "contrast": 3}, "contrast: there is no such parameter"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(store: Store, args: dict[str, Any], words: str) -> None:
    args = {name: store.put(_image(1)) if value == "REF" else value for name, value in args.items()}
    with pytest.raises(ArgumentsInvalid, match=words):
        call(brighten, args, store)


def test_a_tool_runs_with_one_or_more_of_its_choices(store: Store) -> None:
    @tool(one_of=("by", "mask"))
    def choose(image: Image, by: int | None = None, mask: Image | None = None) -> Number:
        """Count what is given."""
        return Number((by is not None) + (mask is not None))

    ref = store.put(_image(1))
    counts = [({"by": 1}, 1), ({"mask": ref}, 1), ({"by": 1, "mask": ref}, 2)]
    for given, count in counts:
        made = call(choose, {"image": ref, **given}, store)
        assert isinstance(made, dict) and store.get(made) == Number(count)
    for none in ({}, {"by": None}, {"by": None, "mask": None}):
        with pytest.raises(ArgumentsInvalid, match="at least one of by, mask"):
            call(choose, {"image": ref, **none}, store)
    assert call(choose, {"image": ref, "mask": []}, store) == []


def test_values_of_the_wrong_kind_are_refused(store: Store) -> None:
    with pytest.raises(ArgumentsInvalid, match="takes Image, not Detections"):
        call(brighten, {"image": store.put(Detections.empty((1, 1)))}, store)


def test_errors_say_tool_step_and_item(store: Store) -> None:
    refs = [store.put(_image(n)) for n in (1, 99, 2)]
    with pytest.raises(ToolError, match=r"brighten \(step s4\), item 2: ValueError: shade 99 is broken") as caught:
        call(brighten, {"image": refs}, store, "s4")
    error = caught.value
    assert (error.tool, error.step, error.item) == ("brighten", "s4", 1)
    assert isinstance(error.__cause__, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.item == 1


def test_hints_of_our_own_errors_are_kept(store: Store) -> None:
    @tool
    def refuse(image: Image) -> Image:
        """Refuse."""
        raise MediaError("a.jpg is damaged", "Copy it again")

    with pytest.raises(ToolError, match=r"refuse: a\.jpg is damaged\. Copy it again"):
        call(refuse, {"image": store.put(_image(1))}, store)


@pytest.mark.parametrize("made", [None, "text", Number(1), [_image(1)]])
def test_undeclared_results_are_refused(store: Store, made: Any) -> None:
    @tool
    def wrong(image: Image) -> Image:
        """Return something else."""
        return made  # type: ignore[no-any-return]

    with pytest.raises(ToolError, match="where Image was declared"):
        call(wrong, {"image": store.put(_image(1))}, store)


def test_batches_are_halved_until_they_fit(store: Store) -> None:
    refs = [store.put(_image(n)) for n in range(10)]
    sizes.clear()
    results = call(shades, {"images": refs, "room": 3}, store)
    assert [store.get(ref) for ref in results] == [Number(n) for n in range(10)]
    assert sizes == [10, 5, 2, 3, 5, 2, 3]


def test_one_item_that_does_not_fit_is_a_clear_error(store: Store) -> None:
    with pytest.raises(ToolError, match="memory ran out.*smaller model"):
        call(shades, {"images": store.put(_image(1)), "room": 0}, store)


def test_when_memory_runs_out_idle_models_make_room(store: Store) -> None:
    @resident(bytes=1, device="cpu")
    def idle() -> object:
        return object()

    idle()
    runs = []

    @tool
    def greedy(image: Image) -> Image:
        """Take all there is."""
        runs.append(1)
        if len(runs) == 1:
            raise MemoryError
        return image

    call(greedy, {"image": store.put(_image(1))}, store)
    assert len(runs) == 2


def test_many_rows_fail_one_by_one(store: Store) -> None:
    rows = [{"images": store.put(_image(n))} for n in (1, 99, 3)]
    rows += [{"images": rows[0]["images"], "room": 50}, {}]  # type: ignore[dict-item]
    sizes.clear()
    outcomes = call_many(shades, rows, store, "s1", batch_size=2)
    assert [isinstance(outcome, SuperlinkError) for outcome in outcomes] == [False, True, False, False, True]
    assert sizes == [2, 1, 1, 1, 1]  # a pair, its members alone, one left over, one of other parameters
    bad = outcomes[1]
    assert isinstance(bad, ToolError) and bad.item == 1 and "item 2" in str(bad)


def test_a_batch_with_too_few_results_is_refused(store: Store) -> None:
    @tool
    def lose(images: Batch[Image]) -> Batch[Image]:
        """Lose one."""
        return list(images)[1:]

    with pytest.raises(ToolError, match="0 results for 1 items"):
        call(lose, {"images": store.put(_image(1))}, store)
