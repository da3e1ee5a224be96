"""A plan over the caller's functions, walked turn by turn."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from agents.examples.bank import Bank, Example
from agents.examples.choose import Similar
from agents.examples.use import Examples
from agents.planners.backbone import RequestEncoder
from agents.planners.base import Demonstration
from api.completions import Plans, complete
from api.messages import ChatRequest, Reply, RequestInvalid, chunks, completion
from tests.agents.fakes import Scripted, plan
from tests.api.foreign import EMAIL, FETCH, FOREIGN, Counting, function
from tests.api.serve import Rules

Messages = list[dict[str, Any]]


def ask(*messages: dict[str, Any] | str, **options: Any) -> Reply:
    """The reply to a conversation; a text is a message of the user."""
    said: Messages = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
    request = {"model": "superlink", "messages": said, "tools": FOREIGN, **options}
    return complete(ChatRequest.model_validate(request), Plans(Rules()))


def after(reply: Reply, *results: str) -> Messages:
    """The messages with which a caller answers the calls of a reply."""
    calls = [call.model_dump() for call in reply.calls]
    answers = [{"role": "tool", "tool_call_id": c["id"], "content": r} for c, r in zip(calls, results, strict=True)]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *answers]


def calls(reply: Reply) -> list[tuple[str, dict[str, Any]]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in reply.calls]


def test_a_request_becomes_a_call_by_the_callers_names() -> None:
    reply = ask("what is the weather like?")
    assert calls(reply) == [("getWeather", {"city": "Oslo"})] and reply.finish == "tool_calls"
    assert reply.content is None and len(reply.calls[0].id) <= 40


def test_the_last_message_of_the_user_counts() -> None:
    first = ask("mail it")
    reply = ask({"role": "system", "content": "mail it"}, "mail it", *after(first, "page"), "now the weather")
    assert calls(reply) == [("getWeather", {"city": "Oslo"})]


def test_a_call_that_needs_a_result_follows_when_the_result_has_come() -> None:
    first = ask("mail it")
    assert calls(first) == [("fetch_page", {"url": "a.example"})]
    talk = ["mail it", *after(first, 'He said "hi"')]
    second = ask(*talk)
    assert calls(second) == [("send_email", {"to": "$ana", "body": 'He said "hi"'})]
    last = ask(*talk, *after(second, "sent"))
    assert last.content == "send_email: sent" and not last.calls and last.finish == "stop"


def test_calls_that_need_nothing_are_made_side_by_side_or_in_turn() -> None:
    both = ask("both")
    assert [name for name, _ in calls(both)] == ["getWeather", "fetch_page"]
    assert ask("both", *after(both, "cold", "page")).content is not None
    one = ask("both", parallel_tool_calls=False)
    assert [name for name, _ in calls(one)] == ["getWeather"]
    two = ask("both", *after(one, "cold"), parallel_tool_calls=False)
    assert [name for name, _ in calls(two)] == ["fetch_page"]
    end = ask("both", *after(one, "cold"), *after(two, "page"), parallel_tool_calls=False)
    assert end.content == "getWeather: cold\nfetch_page: page"


def test_a_request_that_is_said_twice_is_two_turns() -> None:
    first = ask("weather")
    second = ask("weather", *after(first, "cold"), {"role": "assistant", "content": "It is cold"}, "weather")
    assert calls(first) == calls(second) and first.calls[0].id != second.calls[0].id


def test_a_planner_that_changes_its_mind_is_asked_once() -> None:
    both = [plan(("fetch_page", {"url": "a"}), ("send_email", {"to": "x"})), plan(("get_weather", {"city": "Rome"}))]
    plans = Plans(Scripted(both))

    def send(*messages: dict[str, Any]) -> Reply:
        request = {"model": "superlink", "messages": [{"role": "user", "content": "go"}, *messages], "tools": FOREIGN}
        return complete(ChatRequest.model_validate(request), plans)

    first = send()
    assert calls(send(*after(first, "page"))) == [("send_email", {"to": "x", "body": "page"})]


def test_a_plan_that_came_out_otherwise_is_noticed() -> None:
    first = ask("mail it")
    for talk in (["both", *after(first, "page")], ["weather", *after(first, "page")]):
        with pytest.raises(RequestInvalid) as error:
            ask(*talk)
        assert error.value.code == "plan_changed"
    foreign = {"role": "assistant", "tool_calls": [{"id": "call_1", "function": {"name": "x", "arguments": "{}"}}]}
    with pytest.raises(RequestInvalid, match="call_1 is not of the plan"):
        ask("mail it", foreign, {"role": "tool", "tool_call_id": "call_1", "content": "y"})
    with pytest.raises(RequestInvalid, match="has no message with its result"):
        ask("mail it", *after(first, "page")[:1])


def test_where_nothing_fits_it_says_so() -> None:
    reply = ask("write a poem")
    assert not reply.calls and reply.content
    assert "None of these functions fits" in reply.content and "no free text" in reply.content
    assert "no tools in this request" in (ask("hello", tools=[]).content or "")
    assert "tool_choice is none" in (ask("weather", tool_choice="none").content or "")
    things = {"type": "array", "items": {"type": "object"}}
    assert "cannot be asked for" in (ask("x", tools=[function("merge", a=things, b=things)]).content or "")


def test_a_plan_that_cannot_work_is_no_call() -> None:
    reply = ask("mail it", tools=[EMAIL])
    assert not reply.calls and reply.content and "there is no tool 'fetch_page'" in reply.content


def test_a_plan_that_leaves_something_out_waits() -> None:
    reply = ask("get the weather, then send everything")
    assert not reply.calls and reply.content
    assert 'says "send"' in reply.content and "get_weather" in reply.content
    forced = ask("get the weather, then send everything", tool_choice="required")
    assert calls(forced) == [("getWeather", {"city": "Oslo"})]
    end = ask("get the weather, then send everything", *after(forced, "cold")).content
    assert end and end.startswith("getWeather: cold\n") and 'says "send"' in end


def test_a_call_can_be_required() -> None:
    with pytest.raises(RequestInvalid) as error:
        ask("write a poem", tool_choice="required")
    assert error.value.code == "no_function_fits"
    named: Any = {"type": "function", "function": {"name": "getWeather"}}
    assert calls(ask("the weather", tool_choice=named)) == [("getWeather", {"city": "Oslo"})]
    with pytest.raises(RequestInvalid):
        ask("mail it", tool_choice=named)  # the plan needs others
    named["function"]["name"] = "other"
    with pytest.raises(RequestInvalid, match="there is no function other"):
        ask("weather", tool_choice=named)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "system", "content": "x"}], "no message of a user"),
        ([{"role": "user", "content": " "}], "is empty"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "only text"),
    ],
)
def test_conversations_that_cannot_be_answered(messages: Messages, message: str) -> None:
    with pytest.raises(RequestInvalid, match=message):
        ask(*messages)


def test_two_functions_of_one_name_are_refused() -> None:
    with pytest.raises(RequestInvalid, match="two functions are called fetch_page"):
        ask("mail it", tools=[FETCH, FETCH])


def test_more_functions_than_the_planner_can_read_are_refused() -> None:
    many = [function(f"do_{number}", "Do it. " * 90, x={"type": "string"}) for number in range(100)]
    with pytest.raises(RequestInvalid) as error:
        ask("weather", tools=many)
    assert error.value.code == "context_length_exceeded"
    assert "and 5 more" in (
        ask("poem", tools=[function(f"do_{n}", x={"type": "string"}) for n in range(25)]).content or ""
    )


def test_text_in_parts_is_read() -> None:
    parts = [{"type": "text", "text": "the"}, {"type": "text", "text": "weather"}]
    assert calls(ask({"role": "user", "content": parts})) == [("getWeather", {"city": "Oslo"})]


def test_usage_is_counted_where_the_planner_counts() -> None:
    request = ChatRequest.model_validate({"model": "superlink", "messages": [{"role": "user", "content": "a b c"}]})
    reply = complete(request, Plans(Counting()))
    assert reply.usage and reply.usage[0] >= 3 and reply.usage[1] == len((reply.content or "").split())
    usage: Any = completion(reply)["usage"]
    assert usage["total_tokens"] == sum(reply.usage) and "usage" not in completion(complete(request, Plans(Rules())))


def test_chunks_carry_what_the_whole_carries() -> None:
    reply = ask("both").model_copy(update={"usage": (7, 2)})
    events = list(chunks(reply, with_usage=True))
    assert events.pop() == "data: [DONE]\n\n"
    read = [json.loads(event.removeprefix("data: ")) for event in events]
    deltas = [choice["delta"] for one in read for choice in one["choices"]]
    assert [call["function"] for delta in deltas for call in delta.get("tool_calls", ())] == [
        call.function.model_dump() for call in reply.calls
    ]
    assert deltas[0] == {"role": "assistant", "content": None} and deltas[-1] == {}
    assert read[-2]["choices"][0]["finish_reason"] == "tool_calls" and read[-1]["usage"]["total_tokens"] == 9


def test_a_doubtful_plan_is_shown_before_it_is_called() -> None:
    reply = ask("it may mail it")
    assert (
        not reply.calls and "only 30 % sure" in (reply.content or "") and "send_email" in (reply.content or "").lower()
    )
    assert ask("it may mail it", tool_choice="required").calls
    assert ask("mail it").calls


WEATHER = Demonstration([], "how is it outside?", [{"tool": "get_weather", "args": {"city": "Rome"}}])
MAIL = Demonstration([], "how is it outside", [{"tool": "fetch_page", "args": {"url": "sky.example"}}])


def test_the_planner_sees_the_examples_of_the_servers_owner_and_the_reply_names_them(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "examples.sqlite")
    of_bob = WEATHER._replace(request="is it nice outside?")
    gone = WEATHER._replace(request="outside?", calls=[{"tool": "gone", "args": {}}])
    bank.add([Example(WEATHER, "added", "ada"), Example(gone, "added", "ada")])
    bank.add([Example(of_bob, "edited", "bob", owner="bob")])
    planner = Scripted([plan(("get_weather", {"city": "Oslo"}))] * 2)
    said = {"model": "superlink", "messages": [{"role": "user", "content": "how is it outside now?"}], "tools": FOREIGN}
    request = ChatRequest.model_validate(said)
    chosen = []

    class Counted(Similar):
        def choose(self, *asked: Any) -> list[Demonstration]:
            chosen.append(asked[0])
            return super().choose(*asked)

    reply = complete(request, Plans(planner, Examples(bank, Counted(), RequestEncoder())))
    assert len(chosen) == 1
    assert planner.shown == [[WEATHER]] and reply.demonstrations == [WEATHER.to_json()]
    assert completion(reply)["demonstrations"] == [WEATHER.to_json()]
    first, *rest = [json.loads(event.removeprefix("data: ")) for event in [*chunks(reply, with_usage=False)][:-1]]
    assert first["demonstrations"] == [WEATHER.to_json()] and not any("demonstrations" in one for one in rest)
    assert "demonstrations" not in completion(complete(request, Plans(planner)))


def test_another_example_gives_a_new_plan_but_what_has_begun_goes_on(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "examples.sqlite")
    bank.add([Example(WEATHER, "added", "ada")])
    both = plan(("fetch_page", {"url": "a"}), ("send_email", {"to": "x"}))
    planner = Scripted([both, plan(("fetch_page", {"url": "sky.example"}))])
    plans = Plans(planner, Examples(bank, Similar(), RequestEncoder()))

    def send(*messages: dict[str, Any]) -> Reply:
        talk = [{"role": "user", "content": "how is it outside"}, *messages]
        return complete(ChatRequest.model_validate({"model": "superlink", "messages": talk, "tools": FOREIGN}), plans)

    first = send()
    assert send().calls == first.calls and len(planner.shown) == 1
    bank.add([Example(MAIL, "edited", "ada")])  # in the place of the first
    assert calls(send(*after(first, "page"))) == [("send_email", {"to": "x", "body": "page"})]
    again = send()
    assert calls(again) == [("fetch_page", {"url": "sky.example"})] and again.demonstrations == [MAIL.to_json()]
    assert planner.shown == [[WEATHER], [MAIL]]
