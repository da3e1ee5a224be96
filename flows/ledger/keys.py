"""What tells finished work from work still to do: cache keys, and the signature of a whole plan.

A tool does not declare which weights it will use; it is known once it ran. So a key has two parts: the base (tool, version,
arguments, inputs), known beforehand, and the weights. Finished work of the same base counts when its weights still have
the same content and the roles that pointed to them still do.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from agents.session.state import Refs, listed
from flows.ledger.rows import FinishedCall
from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from tools.storage.store import WeightsUsed
from tools.values.base import canonical_json
from tools.weights.weights import find, verified_hash


def base_key(tool: AnyTool, args: Mapping[str, Any]) -> str:
    """The key of a call as far as it is known beforehand: inputs count by their content, whatever their name."""
    plain = tool.arguments({name: value for name, value in args.items() if name not in tool.inputs})
    inputs = {name: _content(args[name]) for name in tool.inputs if args.get(name) is not None}
    return _hash({"tool": tool.name, "version": tool.version, "params": plain, "inputs": inputs})


def finished_call(base: str, tool: str, refs: Refs, seconds: float) -> FinishedCall:
    """A call that has just ended, as the ledger keeps it."""
    used: dict[str, WeightsUsed] = {}
    for ref in listed(refs):
        used |= {one["id"]: one for one in ref.get("provenance", {"weights": []})["weights"]}
    weights = [{"id": name, "sha256": used[name]["sha256"]} for name in sorted(used)]
    roles = {role: name for role, name in settings().roles.items() if name in used}
    text = canonical_json(weights).decode()
    return FinishedCall(work_key(base, weights), base, tool, text, canonical_json(roles).decode(), refs, seconds)


def work_key(base: str, weights: Any) -> str:
    """The key of finished work: of its base, and id and sha256 of the weights that were used."""
    return _hash({"base": base, "weights": weights})


class CurrentWeights:
    """Whether weights and roles are as they were when some work was done; each is looked up once."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._hashes: dict[str, str] = {}
        self._seen: dict[tuple[str, str], bool] = {}

    def first_valid(self, candidates: Sequence[FinishedCall]) -> FinishedCall | None:
        """The work that would come out the same today, or None."""
        return next((work for work in candidates if self.is_valid(work)), None)

    def is_valid(self, work: FinishedCall) -> bool:
        """Whether this work was done with the weights that would be used today."""
        known = (work.weights, work.roles)
        if known not in self._seen:
            roles = settings().roles
            self._seen[known] = all(roles.get(role) == name for role, name in json.loads(work.roles).items()) and all(
                self._hash(one["id"]) == one["sha256"] for one in json.loads(work.weights)
            )
        return self._seen[known]

    def _hash(self, weights_id: str) -> str:
        if weights_id not in self._hashes:
            try:
                self._hashes[weights_id] = verified_hash(weights_id)
            except SuperlinkError:
                self._hashes[weights_id] = ""
        return self._hashes[weights_id]


def signature(plan: Plan, tools: Mapping[str, AnyTool]) -> str:
    """Hash of a plan's steps, its tools' versions and the weights of all roles; items settled for another are looked at again."""
    from tools.weights.weights import pinned

    roles = {}
    for role, name in settings().roles.items():
        try:
            roles[role] = [name, pinned(find(name))]
        except SuperlinkError:
            roles[role] = [name, None]
    steps = plan.to_json()["steps"]
    versions = {step.tool: tools[step.tool].version for step in plan.steps}
    return _hash({"steps": steps, "versions": versions, "roles": roles})


def _content(value: Any) -> Any:
    if isinstance(value, list):
        return [_content(each) for each in value]
    if isinstance(value, Mapping):
        return [value["kind"], value["sha256"]]
    return value  # words written out


def _hash(data: Any) -> str:
    return hashlib.sha256(canonical_json(data)).hexdigest()
