"""Wiring: fills in the inputs that a planner leaves out, by their type, and the plan's outputs.

An input that was left out gets the newest compatible value: results of earlier steps from newest to
oldest, then what the person gave in this turn, then earlier turns in the same order. An image and boxes are
compatible only when the boxes were found in that image or in one that it was made from (a cut-out and
boxes of the whole picture are not), unless there is no such pair. Two equally new candidates are an
ambiguity, unless the request names one of them ("$photo") or the input takes a list. An optional input is
filled only where the planner wrote `ABOVE`.

Outputs that were left out are the last value of every chain (what no later step uses), and every picture,
sound or video made, unless a later step made a new one of its kind from it: "count the dogs" gives the
number, "blur the faces, then read the text" the blurred image and the text, "blur the faces, then remove
the dog" one image.
"""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from agents.plan.interpreter import mapped_inputs, result_type, uses
from agents.plan.plan import ABOVE, Plan, Step
from agents.plan.problems import Problem
from agents.plan.types import (
    AnyTool,
    ValueType,
    argument_type,
    cards_of,
    newest_first,
    value_types,
)
from common.card import Card
from common.kinds import LOCATION_KINDS, MEDIA_KINDS, PICTURE_KINDS


def wire(plan: Plan, tools: Mapping[str, AnyTool], values: Mapping[str, str | ValueType]) -> tuple[Plan, list[Problem]]:
    """Fill in the inputs and outputs that a plan leaves out. Wiring a wired plan changes nothing.

    Args:
        plan: steps in the order in which they may run.
        tools: name to tool.
        values: what is at hand: name to kind ("Image", "list[Image]") or to `ValueType`, ordered from old to new.

    Returns:
        The plan, complete as far as could be, and the ambiguities. What stays missing, `check` reports.
    """
    cards, at_hand = cards_of(tools), value_types(values)
    turn = max((what.turn for what in at_hand.values()), default=0)
    steps: list[Step] = []
    problems: list[Problem] = []
    for step in plan.steps:
        if step.tool in cards:
            card = cards[step.tool]
            filling = _Filling(step, card, at_hand, plan.request)
            step = filling.fill()
            problems += filling.problems
            at_hand[step.id] = result_type(step.id, step.args, card, at_hand, turn)
        steps.append(step)
    outputs = plan.outputs or _outputs(steps, at_hand)
    if (tuple(steps), outputs) == (plan.steps, plan.outputs):
        return plan, problems
    return Plan(request=plan.request, steps=tuple(steps), outputs=outputs), problems


class _Filling:
    """Fills in the inputs of one step."""

    def __init__(self, step: Step, card: Card, at_hand: Mapping[str, ValueType], request: str) -> None:
        self.step, self.card, self.at_hand, self.request = step, card, at_hand, request
        self.problems: list[Problem] = []
        inputs = card["inputs"]
        # Chat models write null for what they leave out.
        self.args: dict[str, JsonValue] = {n: value for n, value in step.args.items() if value is not None}
        asked = {name for name, given in inputs.items() if self.args.get(name) == ABOVE and not given.get("literal")}
        missing = {name for name, given in inputs.items() if name not in self.args and not given["optional"]}
        self.open = [name for name in inputs if name in asked | missing]
        self.group_of = list(newest_first(at_hand))

    def fill(self) -> Step:
        """The step with its open inputs filled in, as far as there are values for them."""
        # Marks are chosen first: they say which picture is meant.
        unfilled = sorted(self.open, key=lambda n: not self._accepts(n, LOCATION_KINDS))
        while True:
            self.problems.clear()
            left = [name for name in unfilled if not self._fill_input(name)]
            if left in ([], unfilled):
                break
            unfilled = left  # once more: the inputs filled in now may decide between equally new values
        order = [*self.card["inputs"], *self.args]
        args = {name: self.args[name] for name in order if name in self.args}
        return Step(id=self.step.id, tool=self.step.tool, args=args)

    def _fill_input(self, name: str) -> bool:
        """Fill one input in, or add a problem; whether it was filled in."""
        frame = self._frame()
        group = self._newest(name, frame) or self._newest(name, None)
        if not group:
            return False
        together = self.card["inputs"][name]["many"] and len({self.at_hand[n].kind for n in group}) == 1
        together = together and not any(self.at_hand[n].many for n in group)
        if len(group) > 1 and not together:
            group = [n for n in group if _mentioned(n, self.request)] or group
        if len(group) > 1 and not together:
            self.args.pop(name, None)
            names = " or ".join(f"${n}" for n in group)
            self.problems.append(
                Problem(
                    self.step.id,
                    name,
                    f"{self.step.tool} could take {names}: they are equally new",
                    f"Write {names} in the request, or as {name} in the plan",
                )
            )
            return False
        references: list[JsonValue] = [f"${n}" for n in group]
        self.args[name] = references if len(references) > 1 else references[0]
        return True

    def _newest(self, name: str, frame: str | None) -> list[str]:
        """The newest group of values that an input can take, of one frame if one is given."""
        for group in self.group_of:
            fitting = [
                n
                for n in group
                if self._fits(name, n) and (frame is None or not self._is_placed(n) or self.at_hand[n].frame == frame)
            ]
            if fitting:
                return fitting
        return []

    def _fits(self, name: str, candidate: str) -> bool:
        what = self.at_hand[candidate]
        if what.kind not in self.card["inputs"][name]["kinds"]:
            return False
        if not what.many or self.card["inputs"][name]["many"]:
            return True
        # Two lists go together item by item only when they have one source.
        others = mapped_inputs(self.args, self.card, self.at_hand)
        return all(other == name or mapped.source == what.source for other, mapped in others.items())

    def _frame(self) -> str | None:
        """The frame that the picture and the coordinates of this step should share; None where it takes only one."""
        for name in self.card["inputs"]:
            what = argument_type(self.args.get(name), self.at_hand)
            if what is not None and what.kind in PICTURE_KINDS | LOCATION_KINDS:
                return what.frame
        marks = [name for name in self.open if self._accepts(name, LOCATION_KINDS)]
        pictures = [name for name in self.open if name not in marks and self._accepts(name, PICTURE_KINDS)]
        if not marks or not pictures:
            return None
        for group in self.group_of:
            for candidate in group:
                frame = self.at_hand[candidate].frame
                if self._fits(marks[0], candidate) and self._newest_picture(pictures[0], frame):
                    return frame
        return None

    def _newest_picture(self, name: str, frame: str) -> bool:
        return any(self._fits(name, n) and what.frame == frame for n, what in self.at_hand.items())

    def _accepts(self, name: str, kinds: frozenset[str]) -> bool:
        return not kinds.isdisjoint(self.card["inputs"][name]["kinds"])

    def _is_placed(self, name: str) -> bool:
        return self.at_hand[name].kind in PICTURE_KINDS | LOCATION_KINDS


def _mentioned(name: str, request: str) -> bool:
    return re.search(rf"\${re.escape(name)}(?!\w)", request) is not None


def _outputs(steps: list[Step], at_hand: Mapping[str, ValueType]) -> tuple[str, ...]:
    results = {step.id: at_hand[step.id] for step in steps if step.id in at_hand}
    used = {name for step in steps for name in uses(step)}
    remade = {
        name
        for step in steps
        if step.id in results
        for name in uses(step)
        if name in results
        and (results[name].kind, results[name].frame) == (results[step.id].kind, results[step.id].frame)
    }
    shown = [
        step.id
        for step in steps
        if step.id not in used
        or (step.id in results and results[step.id].kind in MEDIA_KINDS and step.id not in remade)
    ]
    return tuple(f"${name}" for name in dict.fromkeys(shown))
