"""The answer of a turn in words, composed from the values without a model."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agents.plan.interpreter import labels_sought, uses
from agents.plan.plan import Plan, Step, reference
from agents.plan.types import kind_names
from agents.session.policy import BEFOREHAND
from agents.session.state import State, TurnResult, problems_of, refs_of, types_of
from common.card import Card
from common.kinds import MEDIA_KINDS
from tools.storage.store import Ref, Refs, Store, as_list
from tools.values import Number, Text, Transcript
from tools.values.base import ValueSummary

MAX_CHARACTERS = 4000
MAX_ITEMS = 20
"""Most characters of one text and most items of one list in an answer; the values hold the rest."""

_ALIKE = 0.6
"""Share of common words from which on a request is like an example of a tool."""

_NO_PLURAL = ("sheep", "people", "skis", "scissors", "broccoli")
_MEDIA = {"Image": "picture", "Audio": "sound", "Video": "video"}


# Past participles of what a tool does, by the value of its argument "how".
_VERBS = {
    "redact": {"blur": "blurred", "pixelate": "pixelated", "fill": "covered"},
    "remove": {"": "removed"},
    "crop": {"": "cut out"},
}


class Answer(NamedTuple):
    """The answer in words, and how the turn ended."""

    text: str
    result: TurnResult


def compose(
    state: State,
    plan: Plan | None,
    store: Store,
    cards: Mapping[str, Card],
    offered: Mapping[str, Card] | None = None,
) -> Answer:
    """The answer to a turn that has come to its end.

    Args:
        state: of the thread.
        plan: of the turn.
        store: of the values, for texts in full.
        cards: of the tools, by name.
        offered: cards of the tools that an answer names where there was nothing to run; all of them by default.
    """
    decision = state.get("decision")
    if decision is not None and decision["action"] == "reject":
        reason = decision.get("reason", "").strip()
        return Answer(f"Nothing was run: {reason}" if reason else "Nothing was run.", "refused")
    if plan is None or state["problems"]:
        faults = "\n".join(f"- {problem}" for problem in problems_of(state))
        return Answer(f"I could not make a plan that works, so nothing was run:\n{faults}", "refused")
    if not plan.steps:
        offers = "\n".join(
            f"- {card['name']}: {card['doc']}" for card in (cards if offered is None else offered).values()
        )
        lack = _lacking(state, cards)
        return Answer(f"I found nothing to run for this request. {lack}What I can do:\n{offers}", "refused")
    return _Report(plan, state, store).answer()


def _lacking(state: State, cards: Mapping[str, Card]) -> str:
    """Return which value is missing for the tool whose example is most like the request; "" where none is like it."""
    asked = _word_set(state["request"])
    examples = [(example, card) for card in cards.values() for example in card["examples"]]
    alike = [(len(asked & _word_set(text)) / len(asked | _word_set(text) or {""}), card) for text, card in examples]
    likeness, card = max(alike, key=lambda pair: pair[0], default=(0.0, None))
    if card is None or likeness < _ALIKE:
        return ""
    kinds = {what.kind for what in types_of(state).values()}
    for given in card["inputs"].values():
        if not given["optional"] and kinds.isdisjoint(given["kinds"]) and not MEDIA_KINDS.isdisjoint(given["kinds"]):
            what = kind_names(given["kinds"])
            return f"{card['name']} would do it and needs {what}, and none is at hand: attach one. "
    return ""


def _word_set(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class _Sentence(NamedTuple):
    """A sentence about a value, and whether something was found, made or changed."""

    text: str
    something: bool = True


class _Report:
    """The answer to a plan that ran."""

    def __init__(self, plan: Plan, state: State, store: Store) -> None:
        self.plan, self.store = plan, store
        self.steps = {step.id: step for step in plan.steps}
        self.outcomes = state.get("outcomes", {})
        self.refs = refs_of(state)
        # A person who accepted the plan, or wrote it, has seen them.
        decision = state.get("decision")
        was_read = decision is not None and decision.get("reason") != BEFOREHAND
        self.warnings = [] if was_read else state.get("warnings", [])

    def answer(self) -> Answer:
        names = [name for name in map(reference, self.plan.outputs) if name is not None and name in self.refs]
        sentences = [self._sentence(name, alone=len(names) == 1) for name in names]
        failed = list(self._failure_lines())
        result: TurnResult = "done"
        if failed and not sentences:
            result = "failed"
        elif not failed and not any(one.something for one in sentences):
            result = "nothing"
        elif failed or self.warnings:
            result = "partly"
        # A warning about a step is not about what was left out.
        doubts = [
            f"{one['step']}: {one['message']}." if one["step"] else f"Left out: {one['message']}."
            for one in self.warnings
        ]
        return Answer("\n".join([*self._notes(), *(one.text for one in sentences), *failed, *doubts]), result)

    def _notes(self) -> list[str]:
        """What to know before the values are believed, as their tools said it; each once."""
        refs = [ref for step in self.plan.steps for ref in as_list(self.refs.get(step.id, []))]
        return list(dict.fromkeys(f"{one}." for ref in refs for one in ref.get("provenance", {}).get("notes", [])))

    def _failure_lines(self) -> Iterator[str]:
        for step in self.plan.steps:
            outcome = self.outcomes.get(step.id)
            if outcome is not None and "error" in outcome:
                what = "failed" if outcome["state"] == "failed" else "was not run"
                # The tool's error says where it happened, and so does this line.
                message = outcome["error"]["message"].removeprefix(f"{step.tool} (step {step.id})").lstrip(":, ")
                reason = ". ".join(part for part in (message, outcome["error"]["hint"]) if part)
                yield f"{step.id} ({step.tool}) {what}: {reason}."
        yield from self._page_lines()

    def _page_lines(self) -> Iterator[str]:
        """A sentence for each given file with further pages or frames, which were not worked on."""
        for name in sorted(self.refs.keys() - self.steps.keys()):
            refs = self.refs[name]
            pages = [ref["summary"].get("pages", 1) for ref in as_list(refs)]
            for number, count in enumerate(pages, 1):
                if count > 1:
                    which = f"{name} {number}" if len(pages) > 1 else name
                    yield (
                        f"Of the {count} pages or frames of {which}, only the first was worked on. Save the others as "
                        "files of their own to work on them."
                    )

    def _sentence(self, name: str, alone: bool) -> _Sentence:
        step, refs = self.steps.get(name), self.refs[name]
        label = name if step is None else f"{step.tool} ({name})"
        if not isinstance(refs, list):
            one = self._describe(refs, step)
            if alone or refs["kind"] not in ("Text", "Transcript"):
                return one
            return _Sentence(f"{label}: {one.text}", one.something)
        done = self._participle(step) if step else ""
        if not refs:
            return _Sentence(
                f"{self._nothing_phrase(step, done) or f'{label} gave an empty list: there was nothing to work on'}.",
                False,
            )
        kind = refs[0]["kind"]
        if kind in _MEDIA:
            if step and all(self._is_unchanged(step, ref) for ref in refs):
                return _Sentence(f"{self._nothing_phrase(step, done) or f'{label} changed nothing'}.", False)
            counted = self._count_phrase(step) if step and done else None
            pictures = _quantity(len(refs), _MEDIA[kind])
            return _Sentence(f"{counted[0]}: {pictures}." if counted else f"Made {pictures} with {label}.")
        sentences = list(enumerate((self._describe(ref, step, listed=True) for ref in refs), 1))
        head = f"{label} gave {len(refs)}:"
        if kind == "Detections":
            # Of many pictures, those in which something was found are of interest.
            sentences = [(n, one) for n, one in sentences if one.something]
            labels = self._labels_sought(step)
            if not sentences:
                sought = f" (looked for {labels})" if labels else ""
                return _Sentence(f"Found none in {len(refs)} items{sought}.", False)
            counts = _labels_of(refs) or {}
            head = f"Found {sum(counts.values())} ({_label_list(counts)}) in {len(sentences)} of {len(refs)} items:"
        items = [f"{n}. {one.text}" for n, one in sentences[:MAX_ITEMS]]
        rest = [f"… and {len(sentences) - MAX_ITEMS} more"] if len(sentences) > MAX_ITEMS else []
        return _Sentence("\n".join([head, *items, *rest]), any(one.something for _, one in sentences))

    def _describe(self, ref: Ref, step: Step | None, listed: bool = False) -> _Sentence:
        facts: ValueSummary = ref["summary"]
        match ref["kind"]:
            case "Detections":
                return _Sentence(self._describe_detections(facts, step), bool(facts["count"]))
            case "Poses":
                return _Sentence(
                    f"Found the poses of {_quantity(facts['count'], 'person', 'people')}.", bool(facts["count"])
                )
            case "Number":
                value = self.store.get(ref)
                assert isinstance(value, Number)
                return _Sentence(value.text if listed else self._describe_number(value, step))
            case "Text" | "Transcript":
                value = self.store.get(ref)
                assert isinstance(value, Text | Transcript)
                words = _shortened_text(value.text)
                return _Sentence(words or "No words were found.", bool(words))
            case kind:
                return self._describe_media(ref, kind, step)

    def _describe_media(self, ref: Ref, kind: str, step: Step | None) -> _Sentence:
        """A sentence about a picture, sound or video: what was done to how many things, or that nothing was done."""
        medium = _media_phrase(kind, ref["summary"])
        if step is None:
            return _Sentence(f"Given: {medium}.", False)
        counted, done = self._count_phrase(step), self._participle(step)
        if self._is_unchanged(step, ref) or (done and counted is not None and not counted[1]):
            none = self._nothing_phrase(step, done) if counted is None or not counted[1] else ""
            kept = self._kept_phrase(step, kind)
            return _Sentence(f"{none or f'{step.tool} changed nothing'}; the {_MEDIA[kind]} is {kept}.", False)
        if done and counted is not None:
            return _Sentence(f"{counted[0]}: {medium}.")
        words = self._spoken_text(step) if kind == "Audio" else None
        said = "" if words is None else f" It says: {words}" if words else " There were no words to say."
        return _Sentence(f"Made with {step.tool}: {medium}.{said}", words != "")

    def _participle(self, step: Step) -> str:
        """The past participle of what the tool does, such as "blurred"; "" for tools without one."""
        verbs = _VERBS.get(step.tool, {})
        return verbs.get(str(step.args.get("how", next(iter(verbs), ""))), "")

    def _count_phrase(self, step: Step) -> tuple[str, int] | None:
        """ "Blurred 4 faces", and how many; None when the step takes nothing that was found."""
        facts = self._label_counts(step)
        if facts is None:
            return None
        count, done = sum(facts.values()), self._participle(step)
        what = _quantity(count, next(iter(facts))) if len(facts) == 1 else f"{count} ({_label_list(facts)})"
        frames = self._frame_count(step)
        if frames and facts:  # the same things again and again, one does not know how many
            what = f"{' and '.join(map(_plural, facts))} in {_quantity(frames, 'frame')}"
        return f"{done[:1].upper()}{done[1:]} {what}", count

    def _detections(self, step: Step) -> list[Ref]:
        return [
            ref
            for name in sorted(uses(step))
            for ref in as_list(self.refs.get(name, []))
            if ref["kind"] == "Detections"
        ]

    def _label_counts(self, step: Step) -> dict[str, int] | None:
        """Counts by label of the detections that a step takes; a thing tracked through a video counts once."""
        counts: Counter[str] = Counter()
        marks = self._detections(step)
        for ref in marks:
            labels, tracks = ref["summary"]["labels"], ref["summary"].get("tracks")
            counts.update({next(iter(labels)): tracks} if tracks is not None and len(labels) == 1 else labels)
        return dict(counts) if marks or any(self._is_empty_list(name) for name in uses(step)) else None

    def _frame_count(self, step: Step) -> int:
        """Number of frames of a video with detections that are not tracked."""
        return sum(ref["summary"].get("frames", 0) for ref in self._detections(step) if "tracks" not in ref["summary"])

    def _is_empty_list(self, name: str) -> bool:
        """Whether a value is an empty list that a step returned."""
        return self.refs.get(name) == [] and name in self.steps

    def _nothing_phrase(self, step: Step | None, done: str) -> str:
        """ "No face found, so nothing was blurred"; "" when the step takes nothing that was found."""
        if step is None or self._label_counts(step) is None:
            return ""
        labels = self._labels_sought(step)
        found = f"No {' or '.join(labels.split(', '))} found" if labels else "Nothing found"
        return f"{found}, so nothing was {done}" if done else f"{found}, so there was nothing to work on"

    def _kept_phrase(self, step: Step, kind: str) -> str:
        """How a step that did nothing left a picture, sound or video: "unchanged", or "as rotate made it"."""
        makers = [
            self.steps[name].tool
            for name in sorted(uses(step) & self.steps.keys())
            if any(ref["kind"] == kind for ref in as_list(self.refs.get(name, [])))
        ]
        return f"as {makers[0]} made it" if makers else "unchanged"

    def _is_unchanged(self, step: Step, ref: Ref) -> bool:
        """Whether a value is the same as one of the inputs of its step."""
        return any(
            given["sha256"] == ref["sha256"] for name in uses(step) for given in as_list(self.refs.get(name, []))
        )

    def _spoken_text(self, step: Step) -> str | None:
        """The text from which a sound was made; None where it was not made from text."""
        for name in sorted(uses(step)):
            refs = self.refs.get(name)
            if refs is not None and not isinstance(refs, list) and refs["kind"] in ("Text", "Transcript"):
                value = self.store.get(refs)
                assert isinstance(value, Text | Transcript)
                return _shortened_text(value.text)
        return None

    def _describe_detections(self, facts: ValueSummary, step: Step | None) -> str:
        if not facts["count"]:
            labels = self._labels_sought(step)
            return f"Found none{f' (looked for {labels})' if labels else ''}."
        if "tracks" in facts:
            return f"Followed {facts['tracks']} through the video ({_label_list(facts['labels'])} boxes)."
        if "frames" in facts:
            return f"Found {' and '.join(map(_plural, facts['labels']))} in {_quantity(facts['frames'], 'frame')}."
        if not self._labels_sought(step):  # everything was looked for
            what = ", ".join(_some(count, label) for label, count in facts["labels"].items())
            return f"Found {_some(facts['count'], 'object')}: {what}."
        return f"Found {facts['count']} ({_label_list(facts['labels'])})."

    def _describe_number(self, value: Number, step: Step | None) -> str:
        """A number, with the labels that it counts where it comes from detections."""
        source = next((self.refs[name] for name in sorted(uses(step)) if name in self.refs), None) if step else None
        facts = _labels_of(source)
        if facts is None or step is None:
            return f"{step.tool}: {value.text}." if step else f"{value.text}."
        what = _label_list(facts) if len(facts) > 1 else next(iter(facts), self._labels_sought(step))
        return f"{step.tool}: {value.text}{f' ({what})' if what else ''}."

    def _labels_sought(self, step: Step | None) -> str:
        return ", ".join(labels_sought(step, self.steps))


def _labels_of(refs: Refs | None) -> dict[str, int] | None:
    """Counts by label of detections; None for other values."""
    if refs is None or (isinstance(refs, list) and not refs):
        return None
    counts: Counter[str] = Counter()
    for ref in as_list(refs):
        if ref["kind"] != "Detections":
            return None
        counts.update(ref["summary"]["labels"])
    return dict(counts)


def _media_phrase(kind: str, facts: ValueSummary) -> str:
    size = f"{facts['width']}×{facts['height']} pixels" if "width" in facts else ""
    length = f"{facts['seconds']:g} s" if "seconds" in facts else ""
    silent = "silent" if facts.get("silent") else ""
    return ", ".join(part for part in (f"a {_MEDIA.get(kind, kind)}", size, length, silent) if part)


def _shortened_text(text: str) -> str:
    text = text.strip()
    return (
        text
        if len(text) <= MAX_CHARACTERS
        else f"{text[:MAX_CHARACTERS]}… ({len(text) - MAX_CHARACTERS} more characters)"
    )


def _label_list(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {count}" for label, count in labels.items())


def _quantity(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or _plural(one)}"


def _some(count: int, one: str) -> str:
    """A count in a sentence: "a dog", "an umbrella", "2 dogs"."""
    return _quantity(count, one) if count != 1 else f"{'an' if one[:1].lower() in 'aeiou' else 'a'} {one}"


def _plural(label: str) -> str:
    """The plural of a label; a label that is one ("faces") stays."""
    if label == "person" or label.endswith(" person"):
        return f"{label[:-6]}people"
    if label.endswith(("ch", "sh", "x", "ss", "us")):
        return f"{label}es"
    return label if label.endswith("s") or label in _NO_PLURAL else f"{label}s"
