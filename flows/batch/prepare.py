"""What comes before the work: plan, scan, and approval."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agents.examples.convert import NoExample, demonstration_of
from agents.examples.use import Examples
from agents.plan.check import wire_and_check
from agents.plan.interpreter import uses
from agents.plan.plan import Plan
from agents.plan.preflight import missing_weights, with_remedy
from agents.plan.problems import Problem
from agents.plan.types import AnyTool, value_types
from agents.plan.warnings import warnings
from agents.planners.base import Chosen, Confidence, Demonstration, DemonstrationJson, DemonstrationSource, Planner
from agents.planners.repair import Attempt, plan_request
from agents.session import policy
from common.kinds import MEDIA
from flows.batch.events import Callbacks
from flows.batch.failures import failed_for
from flows.batch.folder_lock import AnnotateError
from flows.batch.job import BatchJob
from flows.batch.pilot import Forecast
from flows.batch.scores import with_scores, without_scores
from flows.batch.shard import media_kind
from flows.batch.spec import RunSpec
from flows.items.run_files import LEDGER
from flows.items.source import Scan, absolute_source, scan
from flows.ledger.keys import signature
from flows.ledger.ledger import Ledger
from tools.core.errors import SuperlinkError
from tools.core.settings import expand_path, settings
from tools.runtime.registry import load
from tools.storage.store import Store


class PlanRefused(SuperlinkError):
    """The plan has problems, or a person did not approve it."""


class Prepared(NamedTuple):
    """A run that can begin.

    Attributes:
        job: the run as plain data.
        pending: numbers of the items to work on.
        items: number of items in the source, of the plan's kind.
    """

    job: BatchJob
    pending: list[int]
    items: int


def prepare(spec: RunSpec, callbacks: Callbacks) -> Prepared:
    """Plan, scan, and note both in the ledger; nothing is worked yet.

    Raises:
        SourceError: nothing to work on.
        PlanRefused: the plan has problems.
        AnnotateError: the folder is of another source.
        StoreUnusable: values cannot be written to the store.
    """
    tools = load(spec.tools)
    source = absolute_source(spec.source)
    found = scan(source, spec.out)
    ledger = Ledger(spec.out / LEDGER)
    try:
        _check_source(spec, source, ledger)
        store = _checked_store(spec, ledger)
        plan, confidence, seen = _make_plan(spec, callbacks, ledger, tools, found)
        kind = media_kind(plan)
        run_signature = signature(plan, tools)
        items = [item for item in found.items if item.media in ("", kind) or (kind, item.media) == ("audio", "video")]
        changes = ledger.record_scan(items, source)
        ledger.set_facts(
            source=source,
            request=plan.request,
            plan=plan.to_json(),
            confidence=None if confidence is None else confidence.to_json(),
            demonstrations=[one.to_json() for one in seen.demonstrations],
            chooser=seen.chooser,
            example=_as_example(plan, tools),
            signature=run_signature,
            store=store,
        )
        doubt = "" if is_approved(ledger) else policy.doubt(confidence)
        pending = ledger.pending(run_signature, spec.retry_failed)
        if spec.retry_failed and spec.reason:
            chosen = set(failed_for(ledger, spec.reason))
            pending = [number for number in pending if number in chosen]
        pending = pending[: spec.limit]
    finally:
        ledger.close()
    # Items of other kinds, which no step uses, are counted below.
    texts = [str(warning) for warning in warnings(plan, tools, ())]
    texts += map(with_remedy, missing_weights(plan, tools))
    callbacks.notify(
        {
            "event": "plan",
            "tree": plan.tree(),
            "hash": plan.hash,
            "warnings": texts,
            "sure": policy.in_words(confidence),
            "doubt": doubt,
        }
    )
    callbacks.notify(
        {
            "event": "scan",
            "items": changes.items,
            "new": changes.new,
            "changed": changes.changed,
            "gone": changes.gone,
            "left_out": len(found.items) - len(items),
            "skipped": found.skipped_text,
            "pending": len(pending),
        }
    )
    routing = json.dumps(spec.routing.to_json(), sort_keys=True)
    return Prepared(BatchJob(str(spec.out), store, spec.tools, routing, run_signature), pending, changes.items)


def ask_approval(ledger: Ledger, callbacks: Callbacks, forecast: Forecast | None) -> None:
    """Have the plan of a ledger approved, unless it was approved before.

    Args:
        ledger: of the run.
        callbacks: of which `approve` or `look` is asked.
        forecast: of the pilot, if there was one.

    Raises:
        PlanRefused: the plan was not approved.
        PlanDoubtful: its planner doubts it, and there is nobody to ask.
    """
    if is_approved(ledger):
        return
    refuse_doubtful(ledger, callbacks)
    approve = callbacks.approve or (callbacks.look if policy.doubtful(ledger.confidence) else None)
    if approve is not None and not approve(ledger.plan, forecast):
        raise PlanRefused("The plan was not approved", "What the pilot did is kept" if forecast else "")
    note_approval(ledger)
    if approve is not None:  # somebody was asked
        keep_example(ledger, callbacks.examples)


def refuse_doubtful(ledger: Ledger, callbacks: Callbacks) -> None:
    """Refuse a plan that its planner doubts, if there is nobody to ask and nobody approved it before.

    Raises:
        PlanDoubtful: it is refused.
    """
    doubt = "" if is_approved(ledger) else policy.doubt(ledger.confidence)
    if doubt and callbacks.approve is None and callbacks.look is None:
        raise policy.PlanDoubtful(doubt)


def note_approval(ledger: Ledger) -> None:
    """Keep that a person approved the plan of a ledger."""
    ledger.set_facts(approved=[*ledger.approved, ledger.plan.hash])


def keep_example(ledger: Ledger, examples: Examples | None) -> None:
    """Keep the plan of a ledger as an example for later plans, because a person approved it.

    Args:
        ledger: of the run.
        examples: of the person; None where they are switched off.
    """
    if examples is not None and ledger.example is not None:
        examples.keep_demonstration(ledger.example, "approved")


def _as_example(plan: Plan, tools: Mapping[str, AnyTool]) -> DemonstrationJson | None:
    """The plan of a run as an example, without what the options of the run added; None where it cannot be one."""
    plan = without_scores(plan)
    try:
        return demonstration_of(plan, plan.request, value_types(_values(_kinds_of(plan))), tools).to_json()
    except NoExample:
        return None


def is_approved(ledger: Ledger) -> bool:
    """Whether the plan of a ledger was approved in its folder."""
    return ledger.plan.hash in ledger.approved


def plan_for_items(
    request: str,
    kinds: Sequence[str],
    tools: Mapping[str, AnyTool],
    planner: Planner,
    examples: DemonstrationSource | None = None,
) -> Attempt:
    """Plan a request for many items, each of one kind.

    A request that does not say which of several kinds is meant may fit one of them alone.

    Args:
        request: in words.
        kinds: media of the items, such as "image"; pictures where none is known.
        tools: name to tool.
        planner: the planner.
        examples: chooses the examples that the planner sees; None for none.

    Returns:
        The last attempt.

    Raises:
        SuperlinkError: the planner cannot work.
    """
    values = _values(kinds)
    choices = [values, *({kind: values[kind]} for kind in kinds if len(kinds) > 1)]
    attempts = (plan_request(request, choice, tools, planner, examples) for choice in choices)
    first = next(attempts)
    return first if first.works else next((other for other in attempts if other.works), first)


def check_for_items(plan: Plan, kinds: Sequence[str], tools: Mapping[str, AnyTool]) -> tuple[Plan, Sequence[Problem]]:
    """Wire and check a plan for many items, each of one kind.

    Args:
        plan: of a person, a file or a session.
        kinds: see `plan_for_items`.
        tools: name to tool.

    Returns:
        The plan, wired, and its problems.
    """
    # A plan may work on the sound of videos.
    return wire_and_check(plan, tools, _values(_kinds_of(plan) or kinds))


def _kinds_of(plan: Plan) -> list[str]:
    """Media of the items that a plan names."""
    return sorted({name for step in plan.steps for name in uses(step)} & set(MEDIA))


def _values(kinds: Sequence[str]) -> dict[str, str]:
    return {kind: kind.capitalize() for kind in kinds or ["image"]}


def _has_other_examples(
    spec: RunSpec, callbacks: Callbacks, ledger: Ledger, kinds: Sequence[str], tools: Mapping[str, AnyTool]
) -> bool:
    """Whether the planner would see other examples than it saw for the plan of the ledger, which it made."""
    before = [shown.id for shown in ledger.demonstrations]
    if callbacks.planner is None or callbacks.examples is None:
        return callbacks.planner is not None and bool(before)
    return not callbacks.examples.would_show(before, None, spec.request, value_types(_values(kinds)), tools)


def _check_source(spec: RunSpec, source: str, ledger: Ledger) -> None:
    """Check that a ledger is of this source, or may be relocated to it.

    Raises:
        AnnotateError: it is of another one.
    """
    before = ledger.text("source")
    if before not in ("", source) and ledger.after_move(before) != source and not spec.relocate:
        raise AnnotateError(
            f"{spec.out} holds a run over {before}",
            f"Give another folder with --out, or --relocate if those files are now at {source}",
        )


def _checked_store(spec: RunSpec, ledger: Ledger) -> str:
    """The address of the values, found usable before the first item.

    Raises:
        StoreUnusable: values cannot be written there.
        AnnotateError: the store of the run is gone, and the settings name another.
    """
    before, now = ledger.text("store"), settings().store_url
    store = spec.store or (now if spec.relocate else before or now)
    if "://" not in store:
        store = str(expand_path(store).absolute())  # the next run may be started in another folder
    if not spec.store and store == before != now and "://" not in store and not Path(store).exists():
        raise AnnotateError(
            f"The store {store}, where this run keeps its values, is not there",
            f"Put it back, or give --relocate to use {now}; what is not there is made again",
        )
    Store(store).check()
    return store


def _make_plan(
    spec: RunSpec, callbacks: Callbacks, ledger: Ledger, tools: Mapping[str, AnyTool], found: Scan
) -> tuple[Plan, Confidence | None, Chosen]:
    """The checked plan: the given one, that of the ledger for this request, or a new one of the planner.

    Returns:
        The plan, how sure the planner is of it, and the examples that the planner saw.

    Raises:
        PlanRefused: there is none, or it has problems.
    """
    plan, planner = spec.plan, callbacks.planner
    confidence: Confidence | None = None
    shown = Chosen([Demonstration.of_json(one) for one in spec.demonstrations], spec.chooser)
    before = Chosen(ledger.demonstrations, ledger.text("chooser"))
    kinds = sorted({item.media for item in found.items if item.media})
    known = plan is None and spec.request and ledger.text("request") == spec.request
    if known and (is_approved(ledger) or not _has_other_examples(spec, callbacks, ledger, kinds, tools)):
        plan, confidence, shown = ledger.plan, ledger.confidence, before
    problems: Sequence[Problem]
    if plan is not None:
        plan, problems = check_for_items(plan, kinds, tools)
    elif planner is not None and spec.request:
        last = plan_for_items(spec.request, kinds, tools, planner, callbacks.examples)
        plan, problems = last.plan or Plan(request=spec.request), last.problems
        confidence, shown = last.confidence, Chosen(last.demonstrations, last.chooser)
    else:
        raise PlanRefused("There is neither a request to plan nor a plan", "Say what should happen, or give --plan")
    if problems:
        raise PlanRefused("The plan cannot run: " + "; ".join(str(problem) for problem in problems))
    if not plan.steps:
        raise PlanRefused(f"Nothing that the tools can do fits the request {spec.request!r}", "Say it in other words")
    plan = with_scores(plan, tools, spec.scores).with_request(spec.request or plan.request)
    unknown = spec.plan is not None and not shown.demonstrations
    if unknown and before.demonstrations and ledger.fact("plan") == plan.to_json():  # such as that of a schedule
        shown = before
    return plan, confidence, shown
