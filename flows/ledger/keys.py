"""Cache keys of tool calls, and the signature of a whole plan.

A tool does not declare its weights; they are known once it ran. So a key has two parts: the base (tool, version,
arguments, inputs), known before the call, and the weights. A finished call with the same base counts if its weights
still have the same content, and the roles that pointed to them still do.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from flows.ledger.rows import FinishedCall
from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from tools.storage.store import Refs, WeightsUsed, as_list
from tools.values.base import canonical_json
from tools.weights.catalogue import find
from tools.weights.weights import verified_hash


def base_key(tool: AnyTool, args: Mapping[str, Any]) -> str:
    """Hash of what is known before a call: tool, version, plain arguments, and content of the inputs."""
    plain = tool.arguments({name: value for name, value in args.items() if name not in tool.inputs})
    inputs = {name: _content(args[name]) for name in tool.inputs if args.get(name) is not None}
    return _hash({"tool": tool.name, "version": tool.version, "params": plain, "inputs": inputs})


def finished_call(base: str, tool: str, refs: Refs, seconds: float) -> FinishedCall:
    """A call that has just ended, as a row of the ledger, with the weights and roles that it used."""
    used: dict[str, WeightsUsed] = {}
    for ref in as_list(refs):
        used |= {one["id"]: one for one in ref.get("provenance", {"weights": []})["weights"]}
    weights = [{"id": name, "sha256": used[name]["sha256"]} for name in sorted(used)]
    roles = {role: name for role, name in settings().roles.items() if name in used}
    text = canonical_json(weights).decode()
    return FinishedCall(work_key(base, weights), base, tool, text, canonical_json(roles).decode(), refs, seconds)


def work_key(base: str, weights: object) -> str:
    """Hash of a call's base, and of id and sha256 of the weights that it used."""
    return _hash({"base": base, "weights": weights})


class CurrentWeights:
    """Compares the weights and roles of finished calls with those of today; each is looked up once."""

    def __init__(self) -> None:
        """Nothing is looked up yet."""
        self._hashes: dict[str, str] = {}
        self._seen: dict[tuple[str, str], bool] = {}

    def first_valid(self, candidates: Sequence[FinishedCall]) -> FinishedCall | None:
        """The first call that used the weights that would be used today, or None."""
        return next((work for work in candidates if self.is_valid(work)), None)

    def is_valid(self, work: FinishedCall) -> bool:
        """Whether a call used the weights that would be used today."""
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
    """Hash of a plan's steps, its tools' versions and the weights of all roles.

    Items that were settled under another hash are pending again.
    """
    from tools.weights.catalogue import pinned

    roles = {}
    for role, name in settings().roles.items():
        try:
            roles[role] = [name, pinned(find(name))]
        except SuperlinkError:
            roles[role] = [name, None]
    steps = plan.to_json()["steps"]
    versions = {step.tool: tools[step.tool].version for step in plan.steps}
    return _hash({"steps": steps, "versions": versions, "roles": roles})


def _content(value: object) -> object:
    if isinstance(value, list):
        return [_content(each) for each in value]
    if isinstance(value, Mapping):
        return [value["kind"], value["sha256"]]
    return value  # a plain text


def _hash(data: object) -> str:
    return hashlib.sha256(canonical_json(data)).hexdigest()
