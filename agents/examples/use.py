"""The examples as the doors use them: a planner sees some, and plans that a person approves are kept."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from agents.examples.bank import NAME, Bank, Encoder, Example, Origin, Pool, Verdict
from agents.examples.choose import CHOOSERS, Chooser
from agents.examples.convert import NoExample, demonstration_of, fits
from agents.examples.verdict import ByVerdict, Decision, choosers, measure
from agents.lever import Likelihood, lever_file, lever_models
from agents.plan.plan import Plan
from agents.plan.types import AnyTool, ValueType, planner_cards
from agents.planners.backbone import RequestEncoder
from agents.planners.base import Chosen, Demonstration
from common.card import Card
from tools.core.errors import SuperlinkError
from tools.core.settings import PREFIX, settings, settings_path

_log = logging.getLogger("superlink.examples")


class Examples:
    """The examples of one person.

    Args:
        bank: where they are kept.
        chooser: chooses those that a planner sees, or decides for each bank what does.
        encoder: makes vectors of requests.
        who: the person, as in verdicts on finds; "" where the caller may be a program: then nothing is kept.
        owner: user of the page, whose examples nobody else sees; "" for the command line, whose examples all see.
    """

    def __init__(
        self, bank: Bank, chooser: Chooser | ByVerdict, encoder: Encoder, who: str = "", owner: str = ""
    ) -> None:
        """Read nothing yet."""
        self.bank, self._chooser, self._encoder, self.who, self._owner = bank, chooser, encoder, who, owner
        self._kept: tuple[Pool, Pool] | None = None  # the whole pool, and what of it these tools can do

    def chosen(self, request: str, have: Sequence[str], tools: Sequence[Card]) -> Chosen:
        """Choose what a planner sees; see `DemonstrationSource`.

        Raises:
            BankError: the bank cannot be read.
            WeightsMissing: the weights of Lever-LM are damaged.
        """
        return self._choose(request, have, tools)

    def choose(self, request: str, have: Sequence[str], tools: Sequence[Card]) -> list[Demonstration]:
        """The examples of `chosen`."""
        return list(self._choose(request, have, tools).demonstrations)

    def decision(self) -> Decision:
        """What chooses now, and why.

        Raises:
            BankError: the bank cannot be read.
            WeightsMissing: the weights of Lever-LM are damaged.
        """
        return self._decision(self.bank.pool(self._encoder, self._owner))

    def _decision(self, pool: Pool) -> Decision:
        if isinstance(self._chooser, ByVerdict):
            return self._chooser.decide(self.bank, pool, self._owner)
        return Decision(self._chooser, "")

    def measure(
        self, tools: Mapping[str, AnyTool], on_progress: Callable[[int, int], None] = lambda done, of: None
    ) -> Verdict:
        """Measure the choosers of this installation on these examples, and keep the verdict if Lever-LM is one of them.

        Args:
            tools: name to tool. Examples that call others are left out.
            on_progress: called after each held-out example.

        Raises:
            BankError: the bank cannot be read or written.
            WeightsMissing: the language core is not on this computer, or the weights of Lever-LM are damaged.
        """
        pool, file = self._fitting(planner_cards(tools)), lever_file()
        called = {call["tool"] for example in pool.examples for call in example.demonstration.calls}
        likelihood = Likelihood(planner_cards(tools), called)
        verdict = measure(pool, likelihood, choosers(), "" if file is None else lever_models(file), on_progress)
        if file is not None:
            self.bank.keep_verdict(verdict, self._owner)
        return verdict

    def would_show(
        self,
        before: Sequence[str],
        plan: Plan | None,
        request: str,
        values: Mapping[str, ValueType],
        tools: Mapping[str, AnyTool],
    ) -> bool:
        """Whether a planner would see the same examples now as when it made a plan.

        The plan itself, which became an example when it was approved, is no difference.

        Args:
            before: ids of the examples that it saw.
            plan: that came of it, wired.
            request: in words.
            values: what was at hand.
            tools: name to tool.
        """
        have, cards = [value.kind for value in values.values()], planner_cards(tools)
        if list(before) == [shown.id for shown in self.choose(request, have, cards)]:
            return True
        try:
            own = None if plan is None else demonstration_of(plan, request, values, tools)
        except NoExample:
            own = None
        if own is None:
            return False
        return list(before) == [shown.id for shown in self._choose(request, have, cards, but=own).demonstrations]

    def _choose(
        self, request: str, have: Sequence[str], tools: Sequence[Card], but: Demonstration | None = None
    ) -> Chosen:
        pool = self._fitting(tools, but)
        chooser = self._decision(pool.whole or pool).chooser
        return Chosen(chooser.choose(request, have, pool, settings().examples_shown), chooser.name)

    def _fitting(self, tools: Sequence[Card], but: Demonstration | None = None) -> Pool:
        """The examples that these tools can do, but for one."""
        pool, kept = self.bank.pool(self._encoder, self._owner, tools), self._kept
        if kept is None or kept[0] is not pool:
            cards = {card["name"]: card for card in tools}
            left_out = {one.id for one in pool.examples if not fits(one.demonstration, cards)}
            self._kept = kept = pool, pool.without(left_out) if left_out else pool
        return kept[1] if but is None else kept[1].without({but.id})

    def keep(
        self,
        plan: Plan,
        request: str,
        values: Mapping[str, ValueType],
        tools: Mapping[str, AnyTool],
        origin: Origin,
    ) -> None:
        """Keep a plan that a person approved. The person's work goes on where it cannot be kept; the log says why.

        Args:
            plan: wired and checked.
            request: in words.
            values: what was at hand.
            tools: name to tool.
            origin: how it was approved.
        """
        if not self.who:
            return
        try:
            self.keep_demonstration(demonstration_of(plan, request, values, tools), origin)
        except NoExample as error:
            _log.info("the plan is not kept as an example: %s", error)

    def holds(self, shown: Demonstration) -> bool:
        """Whether an example is the person's own, and planners may see it.

        Raises:
            BankError: the bank cannot be read.
        """
        return any((one.id, one.owner, one.enabled) == (shown.id, self._owner, True) for one in self.bank.all())

    def teach(self, shown: Demonstration, origin: Origin) -> None:
        """Keep an example because the person asked for it, also where it was switched off.

        Raises:
            BankError: the bank cannot be written.
        """
        self.bank.add([Example(shown, origin, self.who, owner=self._owner)])
        self.bank.enable([shown.id], True, self._owner)

    def forget(self, shown: Demonstration) -> None:
        """Remove an example of the person's own.

        Raises:
            BankError: the bank cannot be written, or does not have it.
        """
        self.bank.remove([shown.id], self._owner)

    def keep_demonstration(self, shown: Demonstration, origin: Origin) -> None:
        """Keep an example that a person approved, as `keep` does."""
        if not self.who:
            return
        try:
            self.bank.add([Example(shown, origin, self.who, owner=self._owner)])
        except SuperlinkError as error:
            _log.warning("the approved plan could not be kept as an example: %s", error)


class Use(NamedTuple):
    """How examples are used, and why.

    Attributes:
        chooser: name of the chooser, or "off".
        why: where that is set, in words.
    """

    chooser: str
    why: str


def use() -> Use:
    """How examples are used by the settings."""
    found = settings()
    variable = f"{PREFIX}EXAMPLES"
    if os.environ.get(variable):
        return Use(found.examples, f"{variable} says so")
    if "examples" in found.model_fields_set:
        return Use(found.examples, f"{settings_path()} says so")
    return Use(found.examples, "by default")


def open_bank() -> Bank:
    """The bank of the home, which all threads of a process share."""
    return _bank(settings().home / NAME)


_bank = cache(Bank)


def open_examples(who: str = "", owner: str = "") -> Examples | None:
    """The examples for a person; None where they are switched off, so that no planner sees any and none are kept.

    Args:
        who: see `Examples`.
        owner: see `Examples`.
    """
    name = settings().examples
    if name == "off":
        return None
    chooser = ByVerdict() if name == "lever" else CHOOSERS[name]()
    return Examples(open_bank(), chooser, RequestEncoder(), who, owner)


def to_measure(owner: str = "") -> Examples:
    """The examples that a person may see, also where they are switched off."""
    return Examples(open_bank(), ByVerdict(), RequestEncoder(), owner=owner)
