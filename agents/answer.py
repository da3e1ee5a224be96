"""Says what was done, from the values themselves; no model is asked."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from agents.kinds import Card
from agents.plan import Plan, Step, reference
from agents.state import Refs, State, plan_of, problems_of, refs_of
from agents.wiring import uses
from tools.store import Ref, Store
from tools.values import Number, Text, Transcript

LONGEST = 4000
MOST = 20
"""Characters of one text, and items of one list, that an answer spells out; the values hold the rest."""

_MEDIA = {"Image": "picture", "Audio": "sound", "Video": "video"}


def compose(state: State, store: Store, cards: Mapping[str, Card]) -> str:
    """The answer to a turn that has come to its end.

    Args:
        state: of the thread.
        store: where texts are read in full.
        cards: of the tools, by name.
    """
    plan, decision = plan_of(state), state.get("decision")
    if decision is not None and decision["action"] == "reject":
        reason = decision.get("reason", "").strip()
        return f"Nothing was run: {reason}" if reason else "Nothing was run."
    if plan is None or state["problems"]:
        faults = "\n".join(f"- {problem}" for problem in problems_of(state))
        return f"I could not make a plan that works, so nothing was run:\n{faults}"
    if not plan.steps:
        offers = "\n".join(f"- {card['name']}: {card['doc']}" for card in cards.values())
        return f"I found nothing to run for this request. What I can do:\n{offers}"
    return "\n".join(_Report(plan, state, store).lines())


class _Report:
    """What came of a plan that ran."""

    def __init__(self, plan: Plan, state: State, store: Store) -> None:
        self.plan, self.store = plan, store
        self.steps = {step.id: step for step in plan.steps}
        self.outcomes = state.get("outcomes", {})
        self.refs = refs_of(state)

    def lines(self) -> Iterator[str]:
        names = [name for name in map(reference, self.plan.outputs) if name in self.refs]
        for name in names:
            if name is not None:
                yield self._told(name, alone=len(names) == 1)
        for step in self.plan.steps:
            outcome = self.outcomes.get(step.id)
            if outcome is not None and "error" in outcome:
                what = "failed" if outcome["state"] == "failed" else "was not run"
                # The tool's error says where it happened, and so does this line.
                message = outcome["error"]["message"].removeprefix(f"{step.tool} (step {step.id})").lstrip(":, ")
                told = ". ".join(part for part in (message, outcome["error"]["hint"]) if part)
                yield f"{step.id} ({step.tool}) {what}: {told}."
        yield from self._left_out()

    def _left_out(self) -> Iterator[str]:
        """Which given files have pages or frames that were not worked on."""
        for name in sorted(self.refs.keys() - self.steps.keys()):
            refs = self.refs[name]
            pages = [ref["summary"].get("pages", 1) for ref in (refs if isinstance(refs, list) else [refs])]
            for number, count in enumerate(pages, 1):
                if count > 1:
                    which = f"{name} {number}" if len(pages) > 1 else name
                    yield (f"Of the {count} pages or frames of {which}, only the first was worked on. Save the others as "
                           "files of their own to work on them.")

    def _told(self, name: str, alone: bool) -> str:
        step, refs = self.steps.get(name), self.refs[name]
        label = name if step is None else f"{step.tool} ({name})"
        if not isinstance(refs, list):
            told = self._one(refs, step)
            return told if alone or refs["kind"] not in ("Text", "Transcript") else f"{label}: {told}"
        if not refs:
            return f"{label} gave an empty list: there was nothing to work on."
        kind = refs[0]["kind"]
        if kind in _MEDIA:
            return f"Made {_several(len(refs), _MEDIA[kind])} with {label}."
        items = [f"{n}. {self._one(ref, step, listed=True)}" for n, ref in enumerate(refs[:MOST], 1)]
        rest = [f"… and {len(refs) - MOST} more"] if len(refs) > MOST else []
        return "\n".join([f"{label} gave {len(refs)}:", *items, *rest])

    def _one(self, ref: Ref, step: Step | None, listed: bool = False) -> str:
        facts: Mapping[str, Any] = ref["summary"]
        match ref["kind"]:
            case "Detections":
                return self._found(facts, step)
            case "Poses":
                return f"Found the poses of {_several(facts['count'], 'person', 'people')}."
            case "Number":
                value = self.store.get(ref)
                assert isinstance(value, Number)
                return value.text if listed else self._number(value, step)
            case "Text" | "Transcript":
                value = self.store.get(ref)
                assert isinstance(value, Text | Transcript)
                return _words(value.text) or "No words were found."
            case kind:
                made = f"Made with {step.tool}" if step else "Given"
                words = self._said(step) if step and kind == "Audio" else None
                said = "" if words is None else f" It says: {words}" if words else " There were no words to say."
                return f"{made}: {_medium(kind, facts)}.{said}"

    def _said(self, step: Step) -> str | None:
        """The words that a sound was made from; None when it was not made from words."""
        for name in sorted(uses(step)):
            refs = self.refs.get(name)
            if refs is not None and not isinstance(refs, list) and refs["kind"] in ("Text", "Transcript"):
                value = self.store.get(refs)
                assert isinstance(value, Text | Transcript)
                return _words(value.text)
        return None

    def _found(self, facts: Mapping[str, Any], step: Step | None) -> str:
        if not facts["count"]:
            wanted = self._looked_for(step)
            return f"Found none{f' (looked for {wanted})' if wanted else ''}."
        if "tracks" in facts:
            return f"Followed {facts['tracks']} through the video ({_counts(facts['labels'])} boxes)."
        return f"Found {facts['count']} ({_counts(facts['labels'])})."

    def _number(self, value: Number, step: Step | None) -> str:
        """A number with what it counts, where it comes from what was found."""
        source = next((self.refs[name] for name in sorted(uses(step)) if name in self.refs), None) if step else None
        facts = _joined(source)
        if facts is None or step is None:
            return f"{step.tool}: {value.text}." if step else f"{value.text}."
        what = _counts(facts) if len(facts) > 1 else next(iter(facts), self._looked_for(step))
        return f"{step.tool}: {value.text}{f' ({what})' if what else ''}."

    def _looked_for(self, step: Step | None) -> str:
        """The labels that this step, or the one that it works on, was told to find."""
        if step is None:
            return ""
        labels = step.args.get("labels")
        if isinstance(labels, list):
            return ", ".join(map(str, labels))
        return next(filter(None, (self._looked_for(self.steps.get(name)) for name in sorted(uses(step)))), "")


def _joined(refs: Refs | None) -> dict[str, int] | None:
    """Labels and how often each was found; None when this is not what was found."""
    if refs is None or (isinstance(refs, list) and not refs):
        return None
    counts: Counter[str] = Counter()
    for ref in refs if isinstance(refs, list) else [refs]:
        if ref["kind"] != "Detections":
            return None
        counts.update(ref["summary"]["labels"])
    return dict(counts)


def _medium(kind: str, facts: Mapping[str, Any]) -> str:
    size = f"{facts['width']}×{facts['height']} pixels" if "width" in facts else ""
    length = f"{facts['seconds']:g} s" if "seconds" in facts else ""
    silent = "silent" if facts.get("silent") else ""
    return ", ".join(part for part in (f"a {_MEDIA.get(kind, kind)}", size, length, silent) if part)


def _words(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"


def _counts(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {count}" for label, count in labels.items())


def _several(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
