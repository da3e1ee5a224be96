"""Whether Lever-LM chooses: measured on a part of the bank that is held out, against the majority list.

A third of the examples is held out, by their ids: later examples move no others. For each of them, examples are chosen
out of the rest, and the score is how likely the planner then finds the plan that was approved (InfoScore).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from agents.examples.bank import Bank, Pool, Verdict, hash_of
from agents.examples.choose import CHOOSERS, Chooser, Majority, Similar
from agents.lever import lever_file, lever_models, open_lever
from agents.planners.base import Demonstration
from tools.core.settings import settings

LEAST_EXAMPLES = 20
"""Examples of a bank for which Lever-LM or the majority list chooses."""

HELD_OUT = 1 / 3
"""Share of the examples that are held out."""

MOST_HELD_OUT = 64
"""Held-out examples that are scored, at most."""

MEASURE = "superlink examples status --measure"

Score = Callable[[Sequence[Sequence[Demonstration]], Demonstration], list[float] | None]
"""How likely a plan is after each of some lists of examples; see `agents.lever.Likelihood`."""


class Decision(NamedTuple):
    """What chooses the examples, and why.

    Attributes:
        chooser: chooses.
        why: in words.
        hint: what to do; "" for nothing.
    """

    chooser: Chooser
    why: str
    hint: str = ""


class ByVerdict:
    """Lever-LM, if and only if it was measured to be better than the majority list; else that list.

    A verdict stays as examples are added and removed, and `Decision.hint` says so; it ends with the models that it is
    about. Of a small bank, the similar examples are chosen.
    """

    def decide(self, bank: Bank, pool: Pool, owner: str = "") -> Decision:
        """What chooses out of a pool.

        Args:
            bank: has the verdict.
            pool: all enabled examples that a person may see.
            owner: the person; see `Bank.pool`.

        Raises:
            BankError: the bank cannot be read.
            WeightsMissing: the weights of Lever-LM are damaged.
        """
        count, file = len(pool.examples), lever_file()
        if count < LEAST_EXAMPLES:
            return Decision(Similar(), f"it chooses from {LEAST_EXAMPLES} examples on, and there are {count}")
        if file is None:
            return Decision(Majority(), "it is not in this installation")
        verdict = bank.verdict(owner)
        if verdict is None or verdict.models != lever_models(file):
            return Decision(Majority(), "it is not measured on these examples yet", f"Measure it: {MEASURE}")
        lever, majority = (verdict.scores.get(name, 0.0) for name in ("lever", "majority"))
        better = verdict.held_out > 0 and lever > majority
        why = (
            f"it is {'better' if better else 'no better'} than the majority list on {verdict.held_out} "
            f"held-out examples ({lever:.3f}, {majority:.3f})"
        )
        old = verdict.bank != hash_of(pool)
        hint = f"The examples have changed since it was measured: {MEASURE}" if old else ""
        return Decision(open_lever(file) if better else Majority(), why, hint)


def is_held_out(one: str) -> bool:
    """Whether the example of an id is held out."""
    return int(one[:8], 16) / 2**32 < HELD_OUT


def choosers() -> dict[str, Chooser]:
    """The choosers of this installation by name.

    Raises:
        WeightsMissing: the weights of Lever-LM are damaged.
    """
    file = lever_file()
    found = {name: make() for name, make in CHOOSERS.items()}
    return found if file is None else {**found, "lever": open_lever(file)}


def measure(
    pool: Pool,
    score: Score,
    by: Mapping[str, Chooser],
    models: str = "",
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verdict:
    """Measure choosers on the held-out part of a pool.

    Args:
        pool: the examples, or those of them that call tools which are there.
        score: scores examples for a request.
        by: the choosers by name.
        models: see `Verdict`.
        on_progress: called after each held-out example.

    Returns:
        The mean scores, and "none" for no examples. None of them where nothing is held out.
    """
    held_out = [example for example in pool.examples if is_held_out(example.id)]
    rest, names = pool.without({example.id for example in held_out}), ["none", *by]
    asked = sorted((example.demonstration for example in held_out), key=lambda shown: shown.id)[:MOST_HELD_OUT]
    rows: list[list[float]] = []
    for number, one in enumerate(asked, 1):
        seen = [by[name].choose(one.request, one.have, rest, settings().examples_shown) for name in by]
        found = score([[], *seen], one)
        rows += [] if found is None else [found]
        on_progress(number, len(asked))
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return Verdict(models, hash_of(pool.whole or pool), len(rows), dict(zip(names, means, strict=False)))
