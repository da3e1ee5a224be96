"""Chat completions: a request in words becomes a plan over the caller's functions, which is walked turn by turn.

A conversation holds all that is needed: the plan is made again from the last message of the user and the functions. The
built-in planner is deterministic; for others, and for examples that change meanwhile, the last plans are kept
(`Plans`). The ids of calls name the plan, the message and the step, so that a plan which came out otherwise is noticed.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from agents.plan.interpreter import ready_steps
from agents.plan.plan import Plan, reference
from agents.planners.base import DemonstrationSource, Planner
from agents.planners.repair import Attempt, choose_demonstrations, plan_with_examples
from agents.session import policy
from api.functions import Functions, functions_of
from api.messages import CalledFunction, ChatRequest, Message, NamedChoice, Reply, RequestInvalid, ToolCall

_KEPT = 256  # plans
_NAMED = 16  # digits of a plan's hash in the ids of its calls
MAX_CHARACTERS = 60_000
"""Of all functions of a request as JSON. The planner reads new ones once, which takes half a minute at this size."""
_OFFERED = 20  # functions that an answer names
_LIMITS = "superlink plans calls of functions, and writes no free text"


@runtime_checkable
class TokenCounter(Protocol):
    """A planner that counts tokens."""

    def count_tokens(self, text: str) -> int:
        """The number of tokens of a text."""


class Plans:
    """Plans requests over a caller's functions, and keeps the last plans that work.

    Args:
        planner: makes them.
        examples: chooses the examples that the planner sees; None for none.
    """

    def __init__(self, planner: Planner, examples: DemonstrationSource | None = None) -> None:
        """Keep nothing yet."""
        self.planner, self.examples = planner, examples
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[tuple[str, ...], tuple[str, ...]], Attempt] = OrderedDict()

    def plan(self, words: str, functions: Functions, begun: str = "") -> Attempt:
        """The plan for a request; the same one as before where it is kept and the planner would see the same examples.

        Args:
            words: the request.
            functions: that may be called.
            begun: how the hash of the plan begins whose calls were answered already; it is taken if it is kept,
                whatever the examples are by now.

        Raises:
            SuperlinkError: the planner cannot work, or the examples cannot be read.
        """
        asked, tools = (words, *functions.schemas), functions.tools
        chosen = choose_demonstrations(self.examples, words, {}, tools)
        shown = tuple(one.id for one in chosen.demonstrations)
        with self._lock:
            for key, attempt in reversed(self._kept.items()):
                made = attempt.plan.hash if attempt.plan is not None else ""
                if key[0] == asked and (made.startswith(begun) if begun else key[1] == shown):
                    self._kept.move_to_end(key)
                    return attempt
        attempt = plan_with_examples(words, {}, tools, self.planner, chosen)
        if attempt.works:
            with self._lock:
                self._kept[asked, shown] = attempt
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return attempt


def complete(request: ChatRequest, plans: Plans) -> Reply:
    """Answer a conversation.

    Args:
        request: the conversation and the caller's functions.
        plans: makes the plan.

    Raises:
        RequestInvalid: the conversation cannot be answered.
        SuperlinkError: the planner cannot work.
    """
    reply, planner = _reply(request, plans), plans.planner
    if isinstance(planner, TokenCounter):
        asked = "\n".join([message.model_dump_json() for message in request.messages])
        asked += "\n".join(tool.model_dump_json() for tool in request.tools)
        said = (reply.content or "") + "".join(call.function.model_dump_json() for call in reply.calls)
        reply = reply.model_copy(update={"usage": (planner.count_tokens(asked), planner.count_tokens(said))})
    return reply


def _reply(request: ChatRequest, plans: Plans) -> Reply:
    start = max((n for n, message in enumerate(request.messages) if message.role == "user"), default=None)
    if start is None:
        raise RequestInvalid("there is no message of a user", "Add one", "invalid_value", "messages")
    words, later = _words(request.messages[start]), request.messages[start + 1 :]
    functions = _chosen(request)
    if not functions.by_tool:
        return Reply(content=_nothing_offered(request, functions))
    attempt = plans.plan(words, functions, _begun(start, later))
    reply = _walked(request, start, later, functions, attempt)
    return reply.model_copy(update={"demonstrations": [shown.to_json() for shown in attempt.demonstrations]})


def _walked(
    request: ChatRequest, start: int, later: Sequence[Message], functions: Functions, attempt: Attempt
) -> Reply:
    """Answer with the next calls of a plan, or with why there are none.

    Raises:
        RequestInvalid: a call is required and there is none, or the results are not of this plan.
    """
    plan = attempt.plan
    forced = request.tool_choice == "required" or isinstance(request.tool_choice, NamedChoice)
    if plan is None or not attempt.works:
        if forced:
            raise RequestInvalid(
                _no_plan(attempt, functions),
                "Allow an answer without calls: tool_choice auto",
                "no_function_fits",
                "tool_choice",
            )
        return Reply(content=_no_plan(attempt, functions))
    turn = f"call_{plan.hash[:_NAMED]}_{start}_"  # a request that is said twice is two turns
    results = _results(plan, turn, later)
    doubt = policy.doubt(attempt.confidence)
    if (attempt.warnings or doubt) and not forced and not results:
        return Reply(content=_warned(attempt, plan))
    ready = ready_steps(plan, results, results)
    if not ready:
        return Reply(content="\n".join([_report(plan, functions, results), *_left_out_of(attempt)]))
    calls = [
        ToolCall(
            id=turn + step.id,
            function=CalledFunction(
                name=functions.by_tool[step.tool].name, arguments=functions.by_tool[step.tool].render(step, results)
            ),
        )
        for step in ready
    ]
    return Reply(calls=calls if request.parallel_tool_calls is not False else calls[:1])


def _begun(start: int, later: Sequence[Message]) -> str:
    """How the hash of the plan begins of which calls were answered; "" where there are none yet."""
    ids = [message.tool_call_id or "" for message in later if message.role == "tool"]
    found = re.match(rf"call_([0-9a-f]{{{_NAMED}}})_{start}_", ids[0]) if ids else None
    return found[1] if found else ""


def _words(message: Message) -> str:
    if isinstance(message.content, list) and any(part.type != "text" for part in message.content):
        raise RequestInvalid(
            "only text can be read in messages",
            "Name files by their paths, or use POST /v1/runs",
            "unsupported",
            "messages",
        )
    words = message.text.strip()
    if not words:
        raise RequestInvalid("the message of the user is empty", "Say what should happen", "invalid_value", "messages")
    return words


def _chosen(request: ChatRequest) -> Functions:
    """The functions that may be called."""
    if request.tool_choice == "none":
        return Functions()
    if sum(len(tool.function.model_dump_json()) for tool in request.tools) > MAX_CHARACTERS:
        raise RequestInvalid(
            f"the functions have more than {MAX_CHARACTERS} characters as JSON, which the planner cannot read",
            "Send fewer, or with shorter descriptions",
            "context_length_exceeded",
            "tools",
        )
    names = [tool.function.name for tool in request.tools]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RequestInvalid(f"two functions are called {twice}", "Rename one of them", "invalid_value", "tools")
    functions = functions_of(request.tools)
    if not isinstance(request.tool_choice, NamedChoice):
        return functions
    name = request.tool_choice.function.name
    if name not in names:
        raise RequestInvalid(f"there is no function {name}", "Name one of the tools", "invalid_value", "tool_choice")
    return functions.only(name)


def _results(plan: Plan, turn: str, later: Sequence[Message]) -> dict[str, str]:
    """What the caller sent back for the steps of the plan, by their ids.

    Raises:
        RequestInvalid: a call was not answered, or is not of this plan.
    """
    steps = {step.id for step in plan.steps}
    called = [call.id for message in later if message.role == "assistant" for call in message.tool_calls or ()]
    answered = {message.tool_call_id: message.text for message in later if message.role == "tool"}
    if missing := [call for call in called if call not in answered]:
        raise RequestInvalid(
            f"the call {missing[0]} has no message with its result",
            "Send one for each call",
            "invalid_value",
            "messages",
        )
    results: dict[str, str] = {}
    for call, text in answered.items():
        step = (call or "").removeprefix(turn)
        if step not in steps or step == call:
            raise RequestInvalid(
                f"the call {call} is not of the plan for this request",
                "Send the same functions and message as when it was made, or begin anew",
                "plan_changed",
                "messages",
            )
        results[step] = text
    return results


def _report(plan: Plan, functions: Functions, results: dict[str, str]) -> str:
    """What the last calls gave, as the caller sent it."""
    tools = {step.id: functions.by_tool[step.tool].name for step in plan.steps}
    names = [name for name in map(reference, plan.outputs) if name in results]
    return "\n".join(f"{tools[name]}: {results[name]}" for name in names if name is not None)


def _warned(attempt: Attempt, plan: Plan) -> str:
    """The plan, what it leaves out, and why it is doubtful: it does not run before somebody has looked at it."""
    return "\n".join(
        [
            "I made this plan, and call nothing yet:",
            plan.tree(),
            *_left_out_of(attempt),
            *_sentences(policy.doubt(attempt.confidence)),
            "Say it in other words, or call again with tool_choice required to have these calls as they are.",
        ]
    )


def _left_out_of(attempt: Attempt) -> list[str]:
    return _sentences(*(warning.message for warning in attempt.warnings))


def _sentences(*said: str) -> list[str]:
    return [f"{one[:1].upper()}{one[1:]}." for one in said if one]


def _no_plan(attempt: Attempt, functions: Functions) -> str:
    if attempt.problems:
        return "I could not make a plan that works:\n" + "\n".join(f"- {problem}" for problem in attempt.problems)
    names = [function.name for function in functions.by_tool.values()]
    offers = ", ".join(names[:_OFFERED]) + (f" and {len(names) - _OFFERED} more" if len(names) > _OFFERED else "")
    return f"None of these functions fits the request: {offers}. {_LIMITS}.{_left_out(functions)}"


def _nothing_offered(request: ChatRequest, functions: Functions) -> str:
    if functions.left_out:
        return f"No function can be planned with.{_left_out(functions)}"
    what = "tool_choice is none" if request.tool_choice == "none" else "there are no tools in this request"
    return f"{_LIMITS}; {what}. Its own tools are at POST /v1/plans and POST /v1/runs."


def _left_out(functions: Functions) -> str:
    if not functions.left_out:
        return ""
    return " Left out: " + "; ".join(f"{name} ({reason})" for name, reason in functions.left_out.items()) + "."
