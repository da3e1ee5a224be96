"""The state of one plan while it is decoded under the grammar.

At each step a walk gives the allowed next tokens; a single allowed token is forced and needs no model. A finished walk
is always a valid plan, ``Walk.calls``.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backbone.planner.cards import Parameter
from backbone.planner.grammar import Grammar
from backbone.planner.layout import ABOVE, PlannedCall, Scalar
from backbone.planner.spans import late_starts, literal_spans, quoted_spans, unfinished
from backbone.planner.vocabulary import utf8_state
from common.card import Card, CardInput

MAX_CALLS = 12
MAX_ITEMS = 16
MAX_TEXT = 160
"""Limits: calls in a plan, items in a list, tokens in a text that is no quotation. Every walk ends."""

_NUMBER = re.compile(r" (-?(\d{1,12}(\.\d{0,6})?)?)?")
_INTEGER = re.compile(r" (-?(\d{1,12})?)?")
_FREE = ("text", "number", "integer")
_WORDS = {"Text", "Transcript"}

_Alternative = tuple[Sequence[int], Callable[["Walk"], None]]
"""A sequence of tokens that may be written next, and the action that follows its last token."""


def _required_inputs(card: Card) -> list[CardInput]:
    """The inputs of a tool that cannot be left out or written as text."""
    return [i for i in card["inputs"].values() if not i["optional"] and not i.get("literal")]


@dataclass
class _Argument:
    """The argument that is being written: finished items, and tokens of the current one."""

    parameter: Parameter
    items: list[Scalar]
    ids: list[int]


class Walk:
    """Parser state of one plan. Call ``allowed`` and ``push`` in turn until ``done``.

    Args:
        grammar: the grammar of the plan.
        have: kinds of value at hand.
        typed: allow only tools whose inputs are at hand or are outputs of earlier calls.
        request: what is asked for; its quoted spans are copied whole.
        first: names of tools, of which one comes first where its inputs are at hand; any tool may if none is named.
        missing: names of tools, of each of which one should be called: see `Walk.refuse_end`.
        refused: tools with optional arguments that are not written, as their values were wrong.

    Attributes:
        calls: the calls so far, ``{"tool", "args"}`` each.
        done: the end token was written.
    """

    def __init__(
        self,
        grammar: Grammar,
        have: Iterable[str],
        typed: bool = False,
        request: str = "",
        first: Collection[str] = (),
        missing: Iterable[Collection[str]] = (),
        refused: Collection[tuple[str, str]] = (),
    ) -> None:
        self.grammar, self.layout, self.vocabulary = grammar, grammar.layout, grammar.vocabulary
        self.have, self.typed = set(have), typed
        self._first = set(first)
        self._missing = [set(names) for names in missing]
        self._refused = set(refused)
        self._quoted, self._literal = quoted_spans(request), literal_spans(request)
        starts = map(self.layout.text, late_starts(self._quoted))
        self._late = [ids[0] for ids in starts if len(ids) == 1]
        self.calls: list[PlannedCall] = []
        self.done = False
        self._pending: dict[tuple[int, ...], Callable[[Walk], None]] = {}
        self._path: list[int] = []
        self._next_parameter = 0
        self._argument: _Argument | None = None
        self._set_alternatives(self._tool_alternatives())

    def fork(self) -> "Walk":
        """An independent copy of this walk."""
        twin = copy(self)
        twin.have, twin._path = set(self.have), list(self._path)
        twin.calls = [{"tool": call["tool"], "args": dict(call["args"])} for call in self.calls]
        if self._argument is not None:
            twin._argument = replace(self._argument, items=list(self._argument.items), ids=list(self._argument.ids))
        return twin

    # Reading the state

    def allowed(self) -> NDArray[np.bool_] | list[int]:
        """Allowed next tokens: a list of ids, or within a text or number a (V,) mask."""
        if self.done:
            return []
        if self._argument is not None and self._argument.parameter.kind in _FREE:
            return self._free()
        depth = len(self._path)
        return list(dict.fromkeys(path[depth] for path in self._pending if path[:depth] == tuple(self._path)))

    def forced(self) -> int | None:
        """The only allowed next token; None if there are several, or none because the plan is done."""
        allowed = self.allowed()
        return allowed[0] if isinstance(allowed, list) and len(allowed) == 1 else None

    @property
    def text(self) -> list[int] | None:
        """Ids of the text or number that is being written, empty at its start; None elsewhere."""
        free = self._argument is not None and self._argument.parameter.kind in _FREE
        return self._argument.ids if self._argument is not None and free else None

    @property
    def in_list(self) -> bool:
        """Whether the value that is being written is an item of a list."""
        return self._argument is not None and self._argument.parameter.many

    def first_argument(self) -> int | None:
        """The next token of the name of a call's first argument; None but for texts that no value at hand fills in."""
        if not self.calls or self.calls[-1]["args"] or self._argument is not None:
            return None
        every = self.grammar.parameters[self.calls[-1]["tool"]]
        if not every or every[0].kind != "text" or self.have & set(every[0].given_by):
            return None
        return self.following(self.layout.piece(f" {every[0].name}="))

    def following(self, name: list[int]) -> int | None:
        """The token of a name after what is written of one; None where another name is written."""
        depth = len(self._path)
        return name[depth] if len(name) > depth and name[:depth] == self._path else None

    @property
    def writing(self) -> Literal["value", "argument", "tool"] | None:
        """What has been begun: a value, or the name of an argument or of a tool; None between these."""
        if self._argument is not None:
            return "value"
        if not self._path:
            return None
        return "tool" if self._path[0] == self.layout.call else "argument"

    def named(self, token: int) -> list[str]:
        """The tools with a card whose calls may begin with what is written of a name, and a token after it."""
        begun = [*self._path, token]
        heads = {name: self.layout.head(name) for name in self.grammar.cards if name not in self.layout.tool_tokens}
        return [name for name, head in heads.items() if head[: len(begun)] == begun]

    def feasible(self) -> list[str]:
        """The tools whose required inputs are at hand once the last call is done."""
        with self._last_call_done():
            return [name for name, card in self.grammar.cards.items() if self._feasible(card)]

    def first_feasible_tool(self) -> str | None:
        """The first tool that has every input at hand; tools that need no input come last. None if there is none."""
        fits = [name for name, card in self.grammar.cards.items() if self._feasible(card)]
        return min(fits, key=lambda name: not _required_inputs(self.grammar.cards[name]), default=None)

    def push(self, token: int) -> None:
        """Append one allowed token.

        Raises:
            ValueError: the token is not allowed here.
        """
        allowed = self.allowed()
        if not (allowed[token] if isinstance(allowed, np.ndarray) else token in allowed):
            raise ValueError(f"token {token} cannot follow here")
        if self._argument is not None and self._argument.parameter.kind in _FREE:
            self._push_free(token)
            return
        self._path.append(token)
        action = self._pending.get(tuple(self._path))
        if action is not None:
            action(self)

    # Names of tools and arguments: tries over whole alternatives

    def _set_alternatives(self, alternatives: Iterator[_Alternative]) -> None:
        self._pending = {tuple(path): action for path, action in alternatives}
        self._path = []

    def _tool_alternatives(self) -> Iterator[_Alternative]:
        if self._first and not self.calls:
            chosen = list(self._calls(name for name in self.grammar.cards if name in self._first))
            if chosen:
                yield from chosen
                return
        yield from self._calls(self.grammar.cards)
        yield [self.layout.end], Walk._finish

    def _calls(self, names: Iterable[str]) -> Iterator[_Alternative]:
        """The starts of calls of some tools, as far as they are possible here."""
        for name in names if len(self.calls) < MAX_CALLS else ():
            if not self.typed or self._feasible(self.grammar.cards[name]):
                yield self.layout.head(name), partial(Walk._begin, name=name)

    def refuse_end(self) -> bool:
        """Where the plan may end, allow only the calls that are missing instead; False where none is, or can be made.

        Only at the end: which calls come before is for the model to say.
        """
        called = {call["tool"] for call in self.calls}
        missing = {name for names in self._missing if names.isdisjoint(called) for name in names}
        with self._last_call_done():
            calls = list(self._calls(name for name in self.grammar.cards if name in missing))
        if calls:
            self._set_alternatives(iter(calls))
        return bool(calls)

    def _feasible(self, card: Card) -> bool:
        """Whether every required input is at hand and at least one argument of ``one_of`` can be given."""
        needed = all(self.have & set(i["kinds"]) for i in _required_inputs(card))
        return needed and (not card["one_of"] or bool(self._writable_one_of(card)))

    def _begin(self, name: str) -> None:
        self._add_outputs()
        self.calls.append({"tool": name, "args": {}})
        self._next_parameter = 0
        self._set_alternatives(self._arguments())

    def _finish(self) -> None:
        self.done = True

    @contextmanager
    def _last_call_done(self) -> Iterator[None]:
        """Have the outputs of the last call at hand for a while."""
        made = self._output_kinds(self.grammar.cards[self.calls[-1]["tool"]]) - self.have if self.calls else set()
        self.have |= made
        yield
        self.have -= made

    def _add_outputs(self) -> None:
        """Add the outputs of the last call to the kinds at hand."""
        if self.calls:
            self.have |= self._output_kinds(self.grammar.cards[self.calls[-1]["tool"]])

    def _output_kinds(self, card: Card) -> set[str]:
        """Output kinds of a tool: its own, or those at hand of the input that it follows."""
        follows = card["returns"].get("follows")
        return self.have & set(card["inputs"][follows]["kinds"]) if follows else {card["returns"]["kind"]}

    def _arguments(self) -> Iterator[_Alternative]:
        """Names of the arguments that may follow, and the starts of a next call if this one may end here."""
        call = self.calls[-1]
        card, every = self.grammar.cards[call["tool"]], self.grammar.parameters[call["tool"]]
        waiting = [] if any(name in call["args"] for name in card["one_of"]) else self._writable_one_of(card)
        for position in range(self._next_parameter, len(every)):
            parameter = every[position]
            if (call["tool"], parameter.name) in self._refused and not parameter.required and not waiting:
                continue
            if parameter.kind == "above" and not self.have & set(parameter.given_by):
                continue
            if self._is_made(parameter) and not self._literal:
                continue
            yield self.layout.piece(f" {parameter.name}="), partial(Walk._begin_argument, position=position)
            if parameter.required and not self.have & set(parameter.given_by):
                return
            if waiting and parameter.name == waiting[-1]:
                return
        with self._last_call_done():
            yield from self._tool_alternatives()

    def _is_made(self, parameter: Parameter) -> bool:
        """Whether an earlier call makes the words that a text input takes, and no call since has taken them.

        Such an input is left out, or copies a span that the request gives word for word. The built-in tools are
        exempt: their weights have learnt when words are for them ("describe it, then make it look old").
        """
        if not _WORDS & set(parameter.given_by) or self.calls[-1]["tool"] in self.layout.tool_tokens:
            return False
        waiting = 0
        for call in self.calls[:-1]:
            card = self.grammar.cards[call["tool"]]
            for name, given in card["inputs"].items():
                taken = call["args"].get(name) == ABOVE if given["optional"] else name not in call["args"]
                waiting -= bool(waiting and taken and _WORDS & set(given["kinds"]))
            waiting += card["returns"]["kind"] in parameter.given_by and card["returns"]["kind"] in _WORDS
        return waiting > 0

    def _writable_one_of(self, card: Card) -> list[str]:
        """The arguments of the tool's ``one_of`` that can be written here, in the order of ``parameters``."""
        every = self.grammar.parameters[card["name"]]
        return [
            p.name for p in every if p.name in card["one_of"] and (p.kind != "above" or self.have & set(p.given_by))
        ]

    # Values

    def _begin_argument(self, position: int) -> None:
        parameter = self.grammar.parameters[self.calls[-1]["tool"]][position]
        if self._is_made(parameter):
            parameter = replace(parameter, kind="choice", choices=tuple(self._literal))
        self._next_parameter = position + 1
        self._argument = _Argument(parameter, [], [])
        self._set_value_alternatives()

    def _set_value_alternatives(self) -> None:
        argument = self._argument
        assert argument is not None
        match argument.parameter.kind:
            case "choice":
                choices: dict[str, Scalar] = {choice: choice for choice in argument.parameter.choices}
            case "boolean":
                choices = {"true": True, "false": False}
            case "above":
                choices = {ABOVE: ABOVE}
            case _:
                choices = {}
        closers = [self.layout.sep]
        if argument.parameter.many and len(argument.items) + 1 < MAX_ITEMS:
            closers.append(self.layout.item)
        self._set_alternatives(
            ([*self.layout.piece(f" {word}"), closer], partial(Walk._finish_value, value=value, closer=closer))
            for word, value in choices.items()
            for closer in closers
        )

    def _finish_value(self, value: Scalar, closer: int) -> None:
        """Store a finished value; the token ``item`` begins another one, ``sep`` ends the argument."""
        argument = self._argument
        assert argument is not None
        argument.items.append(value)
        argument.ids = []
        if closer == self.layout.item:
            self._set_value_alternatives()
            return
        self.calls[-1]["args"][argument.parameter.name] = argument.items if argument.parameter.many else value
        self._argument = None
        self._set_alternatives(self._arguments())

    def _free(self) -> NDArray[np.bool_]:
        """Mask, (V,), of the tokens allowed within a text or a number."""
        argument = self._argument
        assert argument is not None
        vocabulary, written = self.vocabulary, self._written()
        mask: NDArray[np.bool_] = np.zeros_like(vocabulary.whole)
        if argument.parameter.kind == "text":
            state = utf8_state(written)
            rest = unfinished(written.decode().lstrip(), self._quoted) if state == "whole" else ""
            rest = "" if argument.parameter.many else rest
            if state == "open":
                for token in vocabulary.partial:
                    mask[token] = utf8_state(written + vocabulary.bytes[token]) != "broken"
            elif len(argument.ids) < MAX_TEXT:
                mask = vocabulary.whole | vocabulary.opening
            elif rest:
                mask[self.layout.text(rest)[0]] = True
            if not argument.ids:
                mask &= vocabulary.spaced
                mask[[] if argument.parameter.many else self._late] = False
            elif not written.strip():
                mask &= ~vocabulary.blank  # or else a text of spaces could reach its limit, and could not be closed
            complete = bool(written.strip()) and state == "whole" and not rest
        else:
            shape = _NUMBER if argument.parameter.kind == "number" else _INTEGER
            for token in vocabulary.numeric:
                if shape.fullmatch((written + vocabulary.bytes[token]).decode()):
                    mask[token] = True
            complete = re.fullmatch(rb" -?\d+(\.\d+)?", written) is not None
        if complete:
            mask[self.layout.sep] = True
            mask[self.layout.item] = argument.parameter.many and len(argument.items) + 1 < MAX_ITEMS
        return mask

    def _push_free(self, token: int) -> None:
        argument = self._argument
        assert argument is not None
        if token in (self.layout.sep, self.layout.item):
            word = self._written().decode().strip()
            kind = argument.parameter.kind
            value = word if kind == "text" else int(word) if kind == "integer" else float(word)
            self._finish_value(value, token)
        else:
            argument.ids.append(token)

    def _written(self) -> bytes:
        assert self._argument is not None
        return b"".join(self.vocabulary.bytes[i] for i in self._argument.ids)
