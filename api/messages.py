"""Types of the OpenAI-compatible server's requests, and the shape of its answers."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agents.planners.base import DemonstrationJson
from tools.core.errors import SuperlinkError

MODEL = "superlink"
"""The name of the one model: superlink's planner."""
MAX_FUNCTIONS = 128
MAX_MESSAGES = 2000


class RequestInvalid(SuperlinkError):
    """A request cannot be answered as it is.

    Attributes:
        code: for programs.
        param: the part of the request that is meant.
    """

    def __init__(self, message: str, hint: str, code: str, param: str) -> None:
        """Keep what programs read beside what people read."""
        super().__init__(message, hint)
        self.code, self.param = code, param


class FunctionSchema(BaseModel):
    """A function of the caller; `parameters` is a JSON schema of its arguments."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] = {}
    strict: bool | None = None


class ToolSchema(BaseModel):
    """A function as an entry of ``tools``."""

    type: Literal["function"]
    function: FunctionSchema


class CalledFunction(BaseModel):
    """Name and arguments of a call; the arguments are JSON as text."""

    name: str
    arguments: str


class ToolCall(BaseModel):
    """A call that the assistant asks for."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Part(BaseModel):
    """A part of a message; only text can be read."""

    type: str
    text: str = ""


class Message(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class ChosenFunction(BaseModel):
    """The name of a function."""

    name: str


class NamedChoice(BaseModel):
    """The one function that has to be called."""

    type: Literal["function"]
    function: ChosenFunction


class StreamOptions(BaseModel):
    """Whether the last chunk has the usage."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A request for a chat completion; what is not named here, such as the temperature, changes nothing."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    tools: Annotated[list[ToolSchema], Field(max_length=MAX_FUNCTIONS)] = []
    tool_choice: Literal["none", "auto", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = True
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = 1


class PlanRequest(BaseModel):
    """A request to plan with superlink's own tools; `plan` is checked instead, where it is given."""

    model_config = ConfigDict(extra="forbid")

    request: str = ""
    paths: list[str] = []
    media: list[Literal["image", "audio", "video", "text"]] | None = None
    plan: dict[str, Any] | None = None


class RunRequest(BaseModel):
    """A request to run; `approved_hash` is that of a plan which may run without asking."""

    model_config = ConfigDict(extra="forbid")

    request: str = ""
    paths: list[str] = []
    plan: dict[str, Any] | None = None
    approved_hash: str | None = None


class DecisionRequest(BaseModel):
    """A decision on the plan that waits; with `hash`, only if it is that one."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["accept", "edit", "reject"]
    hash: str | None = None
    plan: dict[str, Any] | None = None
    reason: str = ""


class Reply(BaseModel):
    """What the assistant says: a text, calls, or both.

    Attributes:
        content: the text; None without one.
        calls: that the caller is asked to make.
        usage: tokens of the request and of the reply; None where the planner does not count them.
        demonstrations: examples that the planner saw.
    """

    content: str | None = None
    calls: list[ToolCall] = []
    usage: tuple[int, int] | None = None
    demonstrations: list[DemonstrationJson] = []

    @property
    def finish(self) -> str:
        """Why the reply ends."""
        return "tool_calls" if self.calls else "stop"


Json = dict[str, JsonValue]


def completion(reply: Reply) -> Json:
    """A reply as a ``chat.completion``."""
    message: Json = {"role": "assistant", "content": reply.content, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [call.model_dump() for call in reply.calls]
    choice: Json = {"index": 0, "message": message, "finish_reason": reply.finish, "logprobs": None}
    usage = {"usage": _usage(reply)} if reply.usage else {}
    return {**_head("chat.completion"), "choices": [choice], **usage, **_seen(reply)}


def chunks(reply: Reply, with_usage: bool) -> Iterator[str]:
    """A reply as server-sent events, each a ``chat.completion.chunk``; the first one names the examples."""
    head = _head("chat.completion.chunk")

    def event(delta: Json, finish: str | None = None, more: Mapping[str, Any] = MappingProxyType({})) -> str:
        choice: Json = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _event({**head, "choices": [choice], **({"usage": None} if with_usage else {}), **more})

    content = reply.content if reply.content or not reply.calls else None
    yield event({"role": "assistant", "content": content}, more=_seen(reply))
    for index, call in enumerate(reply.calls):
        yield event({"tool_calls": [{"index": index, **call.model_dump()}]})
    yield event({}, reply.finish)
    if with_usage and reply.usage:
        yield _event({**head, "choices": [], "usage": _usage(reply)})
    yield "data: [DONE]\n\n"


def _seen(reply: Reply) -> dict[str, Any]:
    """The examples that the planner saw, which OpenAI's shape has no place for; nothing where there were none."""
    return {"demonstrations": reply.demonstrations} if reply.demonstrations else {}


def _event(data: Json) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _head(kind: str) -> Json:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": MODEL}


def _usage(reply: Reply) -> Json:
    asked, said = reply.usage or (0, 0)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
