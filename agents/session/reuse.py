"""Which finished steps of a plan have results that can be used again, so that only the others run."""

from collections.abc import Mapping

from agents.plan.interpreter import uses
from agents.plan.plan import Plan
from agents.plan.types import AnyTool
from agents.session.state import StepOutcome
from tools.core.errors import SuperlinkError
from tools.core.settings import settings
from tools.storage.store import Ref, Store, as_list
from tools.weights.catalogue import catalogue
from tools.weights.weights import verified_hash


def unusable(plan: Plan, outcomes: Mapping[str, StepOutcome], tools: Mapping[str, AnyTool], store: Store) -> list[str]:
    """Ids of the steps of a plan that have to run again, in the plan's order.

    These are the steps that failed, were skipped or never ran; those whose tool has another version or other weights
    now; those whose values are damaged in the store or missing; and every step that uses one of these.

    Args:
        plan: the plan that ran.
        outcomes: how its steps ended.
        tools: name to tool.
        store: of the results.
    """
    found: set[str] = set()
    hashes: dict[str, str] = {}
    for step in plan.steps:
        outcome = outcomes.get(step.id)
        usable = (
            outcome is not None
            and outcome["state"] == "finished"
            and uses(step).isdisjoint(found)
            and step.tool in tools
            and all(_is_current(ref, tools[step.tool], store, hashes) for ref in as_list(outcome.get("refs", [])))
        )
        if not usable:
            found.add(step.id)
    return [step.id for step in plan.steps if step.id in found]


def _is_current(ref: Ref, tool: AnyTool, store: Store, hashes: dict[str, str]) -> bool:
    provenance = ref.get("provenance")
    if provenance is None or provenance["version"] != tool.version or not store.sound(ref):
        return False
    chosen = _chosen()
    return all(one["id"] in chosen and _hash(one["id"], hashes) == one["sha256"] for one in provenance["weights"])


def _chosen() -> set[str]:
    """The weights that roles name, and those that their engines load with them."""
    entries, named = catalogue(), set(settings().roles.values())
    return named | {needed for name in named if name in entries for needed in entries[name].needs}


def _hash(weights_id: str, hashes: dict[str, str]) -> str:
    if weights_id not in hashes:
        try:
            hashes[weights_id] = verified_hash(weights_id)
        except SuperlinkError:  # gone, or no longer what they should be: the tool itself says so when it runs
            hashes[weights_id] = ""
    return hashes[weights_id]
