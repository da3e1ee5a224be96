"""Steps, values and problems of a plan in words, made from the declarations of the tools."""

import re
from collections.abc import Mapping, Sequence
from string import Formatter

from pydantic import JsonValue

from agents.plan.plan import Plan, Step, references, unescape
from agents.plan.types import AnyTool, ValueType, argument_type, cards_of
from common.card import Card
from tools.values.base import canonical_json

_NOUNS = {
    "Image": ("the picture", "the pictures"),
    "Video": ("the video", "the videos"),
    "Audio": ("the recording", "the recordings"),
    "Text": ("the text", "the texts"),
    "Transcript": ("the text", "the texts"),
    "Detections": ("what was found", "what was found"),
    "Poses": ("the poses", "the poses"),
    "Number": ("the number", "the numbers"),
}
_LONGEST = 80
"""Most characters of one argument in words."""
_ASIDE = re.compile(r"\s*\([^()]*\)")
_OPEN = "…"


def words(step: Step, tools: Mapping[str, AnyTool], types: Mapping[str, ValueType] | None = None) -> str:
    """Return a step in words, such as "Find: face" or "Blur what was found".

    Args:
        step: The step.
        tools: Tools by name.
        types: Types of the values at hand, for the kinds of what it refers to; without them the tool's declaration
            says what it takes.
    """
    if step.tool not in tools:  # a tool file that was not kept, or a plan from elsewhere
        return f"{label(step.tool)} (a tool that is not loaded)"
    tool = tools[step.tool]
    said = _Said(step, cards_of({step.tool: tool})[step.tool], types or {})
    return said.by_template(tool.words) if tool.words else said.by_doc(tool.doc)


def noun(kind: str, many: bool = False) -> str:
    """Return what a value of a kind is called in a sentence, such as "the picture"."""
    one, several = _NOUNS.get(kind, (f"the {kind.lower()}", f"the {kind.lower()} values"))
    return several if many else one


def label(name: str) -> str:
    """Return the name of a parameter as people write it: "Min score" for "min_score"."""
    return capital(name.replace("_", " ").strip() or name)


def capital(text: str) -> str:
    """Return a text whose first letter is a capital."""
    return text[:1].upper() + text[1:]


def places(text: str, plan: Plan) -> str:
    """Return a text in which the ids of the plan's steps are replaced by their places: "step 2" for "$s7" and "s7"."""
    numbers = {step.id: number for number, step in enumerate(plan.steps, 1)}
    return re.sub(
        r"\$?\b([A-Za-z_]\w*)", lambda found: f"step {numbers[found[1]]}" if found[1] in numbers else found[0], text
    )


class _Said:
    """A step whose arguments are said in words."""

    def __init__(self, step: Step, card: Card, types: Mapping[str, ValueType]) -> None:
        self.args, self.card, self.types = step.args, card, types

    def by_template(self, templates: Sequence[str]) -> str:
        """Return the first template whose arguments are all given, filled in."""
        named = [[name for _, name, _, _ in Formatter().parse(template) if name] for template in templates]
        chosen = next((n for n, names in enumerate(named) if all(map(self._is_given, names))), len(templates) - 1)
        filled = "".join(
            text + (self._argument(name, _choices(spec or "")) if name else "")
            for text, name, spec, _ in Formatter().parse(templates[chosen])
        )
        return capital(filled) + self._rest(named[chosen])

    def by_doc(self, doc: str) -> str:
        """Return the first line of a docstring, followed by the words of a person among the arguments."""
        plain = _ASIDE.sub("", doc).strip().rstrip(".")
        params = self.card["params"].items()
        worded = [name for name, schema in params if "enum" not in schema and _is_words(self.args.get(name))]
        said = ", ".join(self._argument(name, {}) for name in worded)
        return capital(plain) + (f": {said}" if said else "") + self._rest(worded)

    def _is_given(self, name: str) -> bool:
        return self.args.get(name, self._default(name)) not in (None, [])

    def _default(self, name: str) -> object:
        return self.card["params"].get(name, {}).get("default")

    def _rest(self, said: Sequence[str]) -> str:
        """The plain arguments that were not said and differ from their default, in parentheses."""
        rest = [
            f"{name.replace('_', ' ')} {self._argument(name, {})}"
            for name, value in self.args.items()
            if name not in said and name in self.card["params"] and value not in (None, [], self._default(name))
        ]
        return f" ({', '.join(rest)})" if rest else ""

    def _argument(self, name: str, choices: Mapping[str, str]) -> str:
        value = self.args.get(name, self._default(name))
        if name in self.card["inputs"] and (value is None or any(references(value))):
            given = self.card["inputs"][name]
            what = argument_type(value, self.types)
            return noun(what.kind, what.many) if what is not None else noun(given["kinds"][0], given["many"])
        if value is None:
            return _OPEN
        text = _plain(unescape(value)) if isinstance(value, str | list | dict) else _plain(value)
        said = choices.get(text, text) or _OPEN
        quoted = name in self.card["inputs"]
        short = said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
        return f"“{short}”" if quoted else short


def _plain(value: object) -> str:
    """Return a plain value as people write it."""
    match value:
        case str():
            return " ".join(value.split())
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case list() if all(isinstance(item, str) for item in value):
            return ", ".join(value)
        case _:
            return canonical_json(value).decode()


def _is_words(value: JsonValue) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
    )


def _choices(spec: str) -> dict[str, str]:
    """Return the words of values: {"fill": "black out"} for "fill=black out"."""
    return dict(pair.split("=", 1) for pair in spec.split(",") if "=" in pair)
