"""Running tools on stored values: provenance, mapping, batches, memory, and errors that say where."""

import pickle
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from tools import Batch, Detections, Image, Number, Store, Text, ToolError, Video, tool
from tools.core.errors import ArgumentsInvalid, MediaError, OutOfMemory, SuperlinkError
from tools.runtime.arguments import rows_of
from tools.runtime.execute import call, call_each, call_many, join_results
from tools.runtime.memory import out_of_memory, retry_with_memory
from tools.runtime.model_cache import evict_idle, loaded, resident
from tools.weights.usage import record

Picture = TypeVar("Picture", Image, Video)


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
    monkeypatch.setattr("tools.runtime.execute.time.perf_counter", lambda: next(clock))
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


def test_several_calls_map_their_own_lists_and_share_batches(store: Store) -> None:
    one, two, three, broken = (store.put(_image(shade)) for shade in (1, 2, 3, 99))
    sizes.clear()
    calls = [{"images": one}, {"images": [two, three]}, {"images": []}, {"images": three, "room": 50}]
    outcomes = call_each(shades, calls, store, "s1")
    assert sizes == [3, 1]  # of the first two calls, and of the one with another parameter
    results = [outcome.result for outcome in outcomes if not isinstance(outcome, SuperlinkError)]
    assert [isinstance(result, list) for result in results] == [False, True, True, False]
    assert [[store.get(ref) for ref in (r if isinstance(r, list) else [r])] for r in results] == [
        [Number(1)],
        [Number(2), Number(3)],
        [],
        [Number(3)],
    ]
    lone = results[0]
    assert isinstance(lone, dict) and not isinstance(outcomes[0], SuperlinkError)
    assert outcomes[0].seconds == lone["provenance"]["seconds"]
    calls = [{"image": [one, broken, two]}, {"image": one, "mask": "no"}, {"image": [one, two], "mask": [one]}]
    *bad, good = call_each(brighten, [*calls, {"image": two}], store, "s1")
    assert ["shade 99" in str(bad[0]), "takes Image, not Text" in str(bad[1]), "lists of 1 and 2" in str(bad[2])] == [
        True
    ] * 3
    assert not isinstance(good, SuperlinkError)
    assert store.get(good.result) == _image(12)  # type: ignore[arg-type]


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

    @resident(bytes=1, device="cpu")
    def used() -> object:
        return object()

    evict_idle()
    idle()
    there: list[set[str]] = []

    @tool
    def greedy(image: Image) -> Image:
        """Take all there is."""
        used()
        there.append({entry.name for entry in loaded()})
        if len(there) == 1:
            raise MemoryError
        return image

    call(greedy, {"image": store.put(_image(1))}, store)
    assert there == [{"idle", "used"}, {"used"}]
    evict_idle()


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (OutOfMemory("it is too large", ""), True),
        (type("OutOfMemoryError", (Exception,), {})("CUDA"), True),
        (RuntimeError("CUDA out of memory"), True),
        (RuntimeError("HIP Out Of Memory"), True),
        (RuntimeError("out of paper"), False),
        (ValueError("out of memory"), False),
        (OSError(12, "Cannot allocate memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error: Exception, ran_out: bool) -> None:
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        raise error

    assert out_of_memory(error) == ran_out
    with pytest.raises(OutOfMemory if ran_out else type(error)) as raised:
        retry_with_memory(run)
    assert len(runs) == (2 if ran_out else 1)
    if ran_out and not isinstance(error, OutOfMemory):
        assert (
            raised.value.hint
            and raised.value.__cause__ is error
            and str(error) in raised.value.message
            and "memory ran out" in raised.value.message
        )
    else:
        assert raised.value is error


def test_another_fault_of_the_second_try_is_that_fault() -> None:
    faults: list[Exception] = [MemoryError(), ValueError("odd")]

    def run() -> None:
        raise faults.pop(0)

    with pytest.raises(ValueError, match="odd"):
        retry_with_memory(run)
    assert retry_with_memory(lambda: 5) == 5


def test_an_error_without_words_is_reported_without() -> None:
    def run() -> None:
        raise MemoryError

    with pytest.raises(OutOfMemory) as raised:
        retry_with_memory(run)
    assert raised.value.message == "memory ran out"


def test_a_mapped_call_ends_at_the_first_failure(store: Store) -> None:
    seen: list[int] = []

    @tool
    def look(image: Image) -> Number:
        """Look at it."""
        seen.append(int(image.pixels[0, 0, 0]))
        if seen[-1] == 99:
            raise ValueError("shade 99 is broken")
        return Number(seen[-1])

    refs = [store.put(_image(n)) for n in (1, 99, 2, 3)]
    with pytest.raises(ToolError):
        call(look, {"image": refs}, store)
    assert seen == [1, 99]
    outcomes = call_many(look, [{"image": ref} for ref in refs], store)
    assert [isinstance(outcome, SuperlinkError) for outcome in outcomes] == [False, True, False, False] and seen[
        2:
    ] == [1, 99, 2, 3]
    outcomes = call_many(look, [{"image": refs[0]}, {}, {"image": refs[2]}], store, stop=True)
    assert [isinstance(outcome, ArgumentsInvalid) for outcome in outcomes] == [False, True] and seen[6:] == [1]


def test_rows_of_other_parameters_or_other_inputs_are_batches_of_their_own(store: Store) -> None:
    groups: list[tuple[int, int, bool]] = []

    @tool
    def gather(images: Batch[Image], masks: Batch[Image] | None = None, by: int = 0) -> Batch[Number]:
        """Gather."""
        groups.append((len(images), by, masks is not None))
        return [Number(int(image.pixels[0, 0, 0])) for image in images]

    ref = [{"images": store.put(_image(n))} for n in range(5)]
    mask = {"masks": store.put(_image(9))}
    rows: list[Any] = [ref[0], ref[1], {**ref[2], "by": 1}, {**ref[3], "by": 1}, {**ref[4], "by": 1, **mask}, ref[0]]
    results = call_many(gather, rows, store)
    assert groups == [(2, 0, False), (2, 1, False), (1, 1, True), (1, 0, False)]
    assert [store.get(one) for one in results if isinstance(one, dict)] == [Number(n) for n in (0, 1, 2, 3, 4, 0)]
    assert [one["provenance"]["args"]["by"] for one in results if isinstance(one, dict)] == [0, 0, 1, 1, 1, 0]
    groups.clear()
    call_many(gather, [ref[0]] * 17, store)
    call_many(gather, [ref[0]] * 5, store, batch_size=2)
    assert [size for size, _, _ in groups] == [16, 1, 2, 2, 1]


def test_provenance_names_every_input_in_order_and_words_among_the_arguments(store: Store) -> None:
    @tool
    def tell(note: Text, images: list[Image], mask: Image | None = None, by: int = 1) -> list[Text]:
        """Tell."""
        return [note, note]

    one, two, three = (store.put(_image(n)) for n in (1, 2, 3))
    refs = call(tell, {"note": "hello", "images": [two, one], "mask": three}, store, "s7")
    assert isinstance(refs, list) and len(refs) == 2
    for ref in refs:
        found = ref["provenance"]
        assert found["inputs"] == [two["sha256"], one["sha256"], three["sha256"]] and found["args"] == {
            "by": 1,
            "note": "hello",
        }
        assert (found["step"], found["tool"], found["weights"]) == ("s7", "tell", [])
        assert datetime.fromisoformat(found["time"]).tzinfo is not None and "." not in found["time"]


def test_what_a_tool_raises_is_reported_with_where(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ref = store.put(_image(99))
    with caplog.at_level("DEBUG", "superlink"), pytest.raises(ToolError) as caught:
        call(brighten, {"image": ref}, store)
    assert caught.value.message.startswith("brighten: ValueError") and "shade 99 is broken" in caught.value.traceback
    assert f"raised in {__file__}" in caught.value.hint and (caught.value.step, caught.value.item) == ("", None)
    [line] = [record for record in caplog.records if record.name.endswith("tools")]
    assert line.levelname == "ERROR" and "brighten: " in line.message and "shade 99 is broken" in line.message
    caplog.clear()

    @tool
    def refuse(image: Image) -> Image:
        """Refuse."""
        raise MediaError("a.jpg is damaged", "Copy it again")

    with caplog.at_level("DEBUG", "superlink"), pytest.raises(ToolError) as caught:
        call(refuse, {"image": ref}, store, "s2")
    assert (caught.value.message, caught.value.hint, caught.value.traceback) == (
        "refuse (step s2): a.jpg is damaged",
        "Copy it again",
        "",
    )
    [line] = [record for record in caplog.records if record.name.endswith("tools")]
    assert line.levelname == "DEBUG"  # a file that is damaged is no fault of the program


def test_what_stops_the_program_is_no_tools_failure(store: Store) -> None:
    @tool
    def interrupted(image: Image) -> Image:
        """Be stopped."""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(interrupted, {"image": store.put(_image(1))}, store)


def test_every_wrong_argument_is_reported_at_once(store: Store) -> None:
    ref = store.put(_image(1))
    with pytest.raises(ArgumentsInvalid) as raised:
        call(brighten, {"mask": store.put(Text("no")), "by": "x"}, store)
    assert [problem.partition(":")[0] for problem in raised.value.problems] == ["image", "mask", "by"]
    with pytest.raises(ArgumentsInvalid) as raised:
        call(join, {"images": [ref, "words", 3, {"kind": 3}]}, store)
    assert len(raised.value.problems) == 3 and all(
        problem.startswith("images: takes") for problem in raised.value.problems
    )
    with pytest.raises(ArgumentsInvalid, match="image: is missing .Image."):
        call(brighten, {"mask": []}, store)  # nothing to run, but a wrong call
    with pytest.raises(ArgumentsInvalid, match="image and mask: lists of 1 and 2"):
        rows_of(brighten, {"image": [ref, ref], "mask": [ref]})


def test_the_rows_of_a_mapped_call(store: Store) -> None:
    one, two = store.put(_image(1)), store.put(_image(2))
    assert rows_of(brighten, {"image": one, "by": 2}) is None and rows_of(join, {"images": [one, two]}) is None
    assert rows_of(brighten, {"image": [one, two], "mask": one, "by": 2}) == [
        {"image": one, "mask": one, "by": 2},
        {"image": two, "mask": one, "by": 2},
    ]
    assert rows_of(brighten, {"image": []}) == []
    assert join_results([one, [two, one], []]) == [one, two, one]


@pytest.mark.parametrize("made", [Number(1), [Number(1)], None, (_image(1), Number(1))])
def test_undeclared_lists_are_refused(store: Store, made: Any) -> None:
    @tool
    def wrong(image: Image) -> list[Image]:
        """Return something else."""
        return made  # type: ignore[no-any-return]

    _, error = call_many(wrong, [{"image": store.put(_image(1))}] * 2, store, "s1")
    assert (
        isinstance(error, ToolError)
        and (error.tool, error.step, error.item) == ("wrong", "s1", 1)
        and __file__ in error.hint
    )
    assert error.message.startswith(f"wrong (step s1), item 2: it returned {type(made).__name__} where a list of Image")


def test_a_result_follows_the_kind_that_was_given(store: Store) -> None:
    film = Video.from_frames([np.zeros((16, 16, 3), np.uint8)] * 2, 5)

    @tool
    def same(media: Picture, wrong: bool = False) -> Picture:
        """Give it back, or the other kind."""
        return film if wrong == isinstance(media, Image) else _image(1)  # type: ignore[return-value]

    for ref in (store.put(_image(1)), store.put(film)):
        made = call(same, {"media": ref}, store)
        assert isinstance(made, dict) and made["kind"] == ref["kind"]
        with pytest.raises(ToolError, match=f"where {ref['kind']} was declared"):
            call(same, {"media": ref, "wrong": True}, store)


def test_tuples_are_lists(store: Store) -> None:
    @tool
    def pair(image: Image) -> list[Image]:
        """Return two."""
        return (image, image)  # type: ignore[return-value]

    assert len(call(pair, {"image": store.put(_image(1))}, store)) == 2


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

    with pytest.raises(ToolError, match="0 results for 1 items. A function over a Batch"):
        call(lose, {"images": store.put(_image(1))}, store)
