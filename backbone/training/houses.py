"""House conventions: requests that mean what the examples of a house say.

A convention is a word for a plan ("give it the Friday treatment"), a word for things ("the regulars"), or an option
that a house always takes. Words and plans are drawn at random, so that only the examples before a request tell what it
means (in-context learning is trained, as by Min et al. 2022, "MetaICL").
"""

import random
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from backbone.planner.layout import Call
from backbone.training.phrasings import FOLDER, LABELS, Phrasing, pools
from backbone.training.samples import Sample, called, fill, frame, held_out, put, slots_for
from backbone.training.synthetic_tools import SYLLABLES, SyntheticTool, draw_request, worded

MOST_EXAMPLES = 8
MOST_CALLS = 4

Draw = Callable[[random.Random], Sample]
"""Draws a sample."""


@dataclass(frozen=True)
class Words:
    """The words of ``houses.toml`` that training, or its held-out part, may use."""

    verbs: list[str]
    nouns: list[str]
    aliases: list[str]
    verb_frames: list[str]
    noun_frames: list[str]
    verb_frames_with_thing: list[str]
    noun_frames_with_thing: list[str]


@dataclass(frozen=True)
class Convention:
    """What one word or one tool means in a house.

    Attributes:
        draw: Draws a request by the convention, with its plan.
        tool: The tool whose option is set; other requests for it would contradict the convention.
        alias: A name for things, and what these are; other conventions may be about them.
    """

    draw: Draw
    tool: str = ""
    alias: tuple[str, tuple[str, ...]] | None = None


@cache
def words(validation: bool) -> Words:
    """Read ``houses.toml``; words are held out for validation, frames are not."""
    raw = tomllib.loads((FOLDER / "houses.toml").read_text())
    kept = {
        name: [word for word in raw[name] if held_out(word, 0.1) == validation]
        for name in ("verbs", "nouns", "aliases")
    }
    return Words(**{**raw, **kept})


class Houses:
    """Draws conventions.

    Args:
        phrasings: The requests for built-in tools that may be used.
        validation: Whether to use the held-out words.
    """

    def __init__(self, phrasings: Sequence[Phrasing], validation: bool) -> None:
        self.words = words(validation)
        self.media = [p for p in phrasings if p.calls and p.have and "Detections" not in p.have]
        plain = [p for p in self.media if "[" not in p.request]
        self.of_things = [p for p in plain if _slots(p) == {"o"} and len(p.calls) <= MOST_CALLS]
        self.for_aliases = [p for p in self.of_things if "{os}" in p.request and "{o}" not in p.request]
        hiding = [p for p in plain if p.calls[-1] == ("redact", (), {}) and p.family.startswith(("hide", "terse"))]
        self.hiding = [p for p in hiding if not re.search(r"blur|fuzz|smudg|smear|soft|mosaic|hazy", p.request, re.I)]
        self.finding = [p for p in plain if len(p.calls) == 1 and p.calls[0][0] == "detect" and not p.calls[0][2]]

    def convention(
        self, rng: random.Random, tools: Sequence[SyntheticTool], compose: Draw, others: Sequence[Convention] = ()
    ) -> Convention:
        """Draw a convention.

        Args:
            rng: Source of everything that is drawn.
            tools: Synthetic tools at hand.
            compose: Draws an ordinary request with several steps.
            others: Conventions that the house has.
        """
        roll = rng.random()
        optional = [t for t in tools if any(not extra.required for extra in t.extras)]
        if roll < 0.4:
            return self._nickname(rng, tools, compose)
        if roll < 0.6:
            return self._nickname_with_thing(rng, [one.alias for one in others if one.alias is not None])
        if roll < 0.78 and self.for_aliases:
            return self._alias(rng)
        if optional and roll < 0.92:
            return self._option(rng, rng.choice(optional))
        return self._builtin_option(rng)

    def _word(self, rng: random.Random) -> tuple[str, bool]:
        """Draw a word and whether it is a verb; a fifth of the words are made up."""
        if rng.random() < 0.2:
            return "".join(rng.sample(SYLLABLES, 2)), rng.random() < 0.5
        verb = rng.random() < 0.5
        return rng.choice(self.words.verbs if verb else self.words.nouns), verb

    def _nickname(self, rng: random.Random, tools: Sequence[SyntheticTool], compose: Draw) -> Convention:
        for _ in range(20):
            roll = rng.random()
            if tools and roll < 0.4:
                meant = draw_request(rng.choice(tools), rng)
            else:
                meant = compose(rng) if roll < 0.65 else fill(rng.choice(self.media), rng)
            if meant.have and 0 < len(meant.calls) <= MOST_CALLS and "Detections" not in meant.have:
                break
        word, verb = self._word(rng)
        frames = self.words.verb_frames if verb else self.words.noun_frames

        def draw(rng: random.Random) -> Sample:
            return Sample(meant.have, frame(put(rng.choice(frames), {"w": word}), rng, True), meant.calls)

        return Convention(draw)

    def _nickname_with_thing(self, rng: random.Random, aliases: Sequence[tuple[str, tuple[str, ...]]]) -> Convention:
        phrasing = rng.choice(self.of_things)
        word, verb = self._word(rng)
        frames = self.words.verb_frames_with_thing if verb else self.words.noun_frames_with_thing

        def draw(rng: random.Random) -> Sample:
            slots = {**slots_for("{o}", rng), "w": word}
            things: tuple[str, ...] = (slots["o"],)
            if aliases and rng.random() < 0.5:  # two conventions in one request
                alias, things = rng.choice(aliases)
                slots |= {"o": alias, "os": alias}
            request = frame(put(rng.choice(frames), slots), rng, True)
            calls = tuple(
                (name, things if name in LABELS and values == ("{o}",) else values, options)
                for name, values, options in phrasing.calls
            )
            return Sample(phrasing.have, request, tuple(called(call, slots) for call in calls))

        return Convention(draw)

    def _alias(self, rng: random.Random) -> Convention:
        made_up = "".join(rng.sample(SYLLABLES, 2)) + "s"
        alias = made_up if rng.random() < 0.2 else rng.choice(self.words.aliases)
        meant = tuple(one for one, _ in rng.sample(pools().things, rng.choice((1, 2, 2, 3))))

        def draw(rng: random.Random) -> Sample:
            phrasing = rng.choice(self.for_aliases)
            sample = fill(replace(phrasing, request=phrasing.request.replace("{os}", alias)), rng)
            calls = (
                {"tool": name, "args": {"labels": [*meant], **options}}
                if name in LABELS and values == ("{o}",)
                else call
                for call, (name, values, options) in zip(sample.calls, phrasing.calls, strict=True)
            )
            return Sample(sample.have, sample.request, tuple(calls))

        return Convention(draw, alias=(alias, meant))

    def _option(self, rng: random.Random, synthetic: SyntheticTool) -> Convention:
        """Draw the value of an optional argument that a house always gives."""
        full = worded(synthetic, rng.choice(synthetic.asks), rng, further=1).calls
        name = synthetic.card["name"]
        own = {drawn for extra in synthetic.extras if not extra.required for drawn in extra.names.values()}
        always = {arg: v for call in full if call["tool"] == name for arg, v in call["args"].items() if arg in own}

        def draw(rng: random.Random) -> Sample:
            sample = worded(synthetic, rng.choice(synthetic.asks), rng, further=0)
            return replace(sample, calls=tuple(_with(call, name, always) for call in sample.calls))

        return Convention(draw, name)

    def _builtin_option(self, rng: random.Random) -> Convention:
        hides = rng.random() < 0.6
        name, phrasings = ("redact", self.hiding) if hides else ("detect", self.finding)
        always: dict[str, object] = {"how": rng.choice(("pixelate", "fill"))}
        if not hides:
            always = {"min_score": rng.choice((0.3, 0.4, 0.45, 0.6, 0.7, 0.75, 0.8, 0.9))}

        def draw(rng: random.Random) -> Sample:
            sample = fill(rng.choice(phrasings), rng)
            return replace(sample, calls=tuple(_with(call, name, always) for call in sample.calls))

        return Convention(draw, name)


def _slots(phrasing: Phrasing) -> set[str]:
    """Return what a phrasing is about, where its request and its labels have the same slot: {"o"} for a thing."""
    labels = {value for _, values, _ in phrasing.calls for value in values if "{" in value}
    named = {part for part in ("{o}", "{os}", "{a}") if part in phrasing.request}
    others = phrasing.request.count("{") - sum(phrasing.request.count(part) for part in named)
    return {"o"} if labels == {"{o}"} and len(named) == 1 and not others else set()


def _with(call: Call, tool: str, options: dict[str, object]) -> Call:
    """Return a call with the options of a convention, if it is of its tool and has none of them."""
    return {"tool": tool, "args": {**options, **call["args"]}} if call["tool"] == tool else call
