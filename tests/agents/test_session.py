"""A conversation from request to answer: approval, edits, failures, later turns, coming back."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agents.plan.check import MAX_STEPS
from agents.plan.plan import ABOVE, Plan, PlanInvalid
from agents.plan.types import AnyTool
from agents.session import nodes
from agents.session.policy import Policy
from agents.session.session import Session, SessionError
from tests.agents.fakes import TOOLS, Scripted, picture, plan
from tests.waiting import WAIT
from tools import Store, Text, tool
from tools.core import abandon
from tools.core.abandon import Stopped
from tools.core.errors import SuperlinkError, ValueInvalid
from tools.core.progress import track
from tools.runtime.parts import kept
from tools.weights.needs import weights_of

Open = Callable[..., Session]
DOGS = ("detect", {"labels": ["dog", "cat"]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def open_session(tmp_path: Path, store: Store) -> Iterator[Open]:
    """Opens sessions on one memory; the same thread is found again."""
    sessions: list[Session] = []

    def open_(
        *plans: Plan | Exception, tools: Mapping[str, AnyTool] = TOOLS, thread: str = "t", **more: Any
    ) -> Session:
        planner = Scripted(plans)
        memory = tmp_path / "memory" / "threads.sqlite"
        sessions.append(Session(thread, tools=tools, planner=planner, store=store, memory=memory, **more))
        sessions[-1].planner = planner  # type: ignore[attr-defined]
        return sessions[-1]

    yield open_
    for session in sessions:
        session.close()


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] if event["event"] != "step" else f"{event['step']} {event['state']}" for event in events]


def test_read_only_plans_run_at_once(open_session: Open) -> None:
    session = open_session(plan(DOGS, ("count", {})))
    assert session.state()["stands"] == "new"
    events = list(session.start("how many dogs and cats?", {"image": picture()}))
    assert names(events) == ["plan", "s1 started", "s1 finished", "s2 started", "s2 finished", "done"]
    assert events[0]["tree"].startswith("how many dogs and cats?\n├─ s1  detect(")
    assert events[0]["hash"] == Plan.load(events[0]["plan"]).hash
    assert events[-1]["answer"] == "count: 2 (dog 1, cat 1)."
    assert events[-1]["outputs"]["s2"]["summary"]["value"] == 2
    assert session.state()["stands"] == "done"


def test_whoever_gets_an_event_may_change_it(open_session: Open) -> None:
    session = open_session(plan(("detct", {})), plan(DOGS, ("count", {})))
    for event in session.start("how many dogs and cats?", {"image": picture()}):
        if event["event"] in ("plan", "problems"):
            event["plan"]["steps"].clear()
    record = session.record()
    assert [step["id"] for step in record["plan"]["steps"]] == ["s1", "s2"]
    assert [step["state"] for step in record["steps"]] == ["finished", "finished"]


def test_plans_that_make_media_wait_for_a_person(open_session: Open, store: Store) -> None:
    session = open_session(plan(DOGS, ("blur", {})))
    events = list(session.start("blur them", {"image": picture()}))
    assert names(events) == ["plan", "approval"]
    assert events[-1]["hash"] == events[0]["hash"] and events[-1]["problems"] == []
    assert session.state()["stands"] == "approval"
    done = list(session.resume({"action": "accept"}))[-1]
    assert done["answer"] == "Made with blur: a picture, 12×10 pixels."
    made = store.get(done["outputs"]["s2"])
    assert made != picture()
    record = done["record"]
    assert record["request"] == "blur them" and record["hash"] == events[0]["hash"]
    assert [step["state"] for step in record["steps"]] == ["finished", "finished"]
    provenance = record["steps"][1]["refs"]["provenance"]
    assert provenance["tool"] == "blur" and provenance["step"] == "s2"
    assert provenance["inputs"] == [record["given"]["image"]["sha256"], record["steps"][0]["refs"]["sha256"]]
    assert record["began"] <= record["ended"]
    assert session.record() == record


def test_policy(open_session: Open) -> None:
    blur = plan(DOGS, ("blur", {}))
    first = list(open_session(blur).start("blur them", {"image": picture()}))[-1]
    assert first["event"] == "approval"
    again = open_session(blur, thread="approved", policy=Policy(approved={first["hash"]}))
    assert list(again.start("blur them", {"image": picture()}))[-1]["event"] == "done"
    other = open_session(blur, thread="other", policy=Policy(approved={first["hash"]}))
    assert list(other.start("blur those", {"image": picture()}))[-1]["event"] == "approval"
    every = open_session(blur, thread="yes", policy=Policy(yes=True))
    done = list(every.start("blur those", {"image": picture()}))[-1]
    assert done["event"] == "done" and done["record"]["decision"] == done["record"]["decisions"][0]
    assert done["record"]["decision"] == {"action": "accept", "reason": "every plan was accepted beforehand"}
    looks = open_session(plan(DOGS), thread="looks", policy=Policy(yes=True))
    seen = list(looks.start("find the dogs and cats", {"image": picture()}))
    assert seen[-1]["record"]["decision"] is None  # it would not have waited
    never = open_session(plan(DOGS), thread="never", policy=Policy(read_only=False))
    assert list(never.start("find", {"image": picture()}))[-1]["event"] == "approval"


def test_a_faulty_plan_goes_back_with_its_problems(open_session: Open) -> None:
    session = open_session(plan(("detct", {})), plan(("detect", {})), plan(DOGS))
    events = list(session.start("find them", {"image": picture()}))
    assert names(events)[:3] == ["problems", "problems", "plan"]
    assert events[0]["problems"][0]["message"] == "there is no tool 'detct'"
    problems_given = [[str(p) for p in problems] for *_, problems in session.planner.asked]  # type: ignore[attr-defined]
    assert problems_given == [
        [],
        ["s1: there is no tool 'detct'. Did you mean detect?"],
        ["s1.labels: detect needs labels. Add labels"],
    ]


def test_after_three_faulty_plans_nothing_runs(open_session: Open) -> None:
    session = open_session(
        plan(("one", {})), plan(("two", {})), PlanInvalid("no call came back", "Call submit_plan once"), plan(DOGS)
    )
    done = list(session.start("find them", {"image": picture()}))[-1]
    assert len(session.planner.asked) == 3  # type: ignore[attr-defined]
    assert done["answer"].startswith("I could not make a plan that works, so nothing was run:")
    assert "no call came back. Call submit_plan once" in done["answer"]
    assert done["outputs"] == {} and done["record"]["problems"]


def test_a_planner_that_insists_or_gives_up_is_not_asked_for_ever(open_session: Open) -> None:
    insists = open_session(*[plan(("read", {}))] * 3)
    done = list(insists.start("read it"))[-1]
    assert len(insists.planner.asked) == 2  # type: ignore[attr-defined]
    assert "read needs an image. Attach one" in done["answer"]
    gives_up = open_session(plan(("read", {})), plan(), thread="up")
    assert "read needs an image. Attach one" in list(gives_up.start("read it"))[-1]["answer"]


def test_an_ambiguity_is_reported(open_session: Open) -> None:
    session = open_session(*[plan(("read", {}))] * 3, plan(("read", {})))
    done = list(session.start("read it", {"beach": picture(), "party": picture(20)}))[-1]
    assert "read could take $beach or $party: they are equally new" in done["answer"]
    done = list(open_session(plan(("read", {}))).start("read $party"))[-1]
    assert done["record"]["plan"]["steps"][0]["args"] == {"image": "$party"}


def test_nothing_to_run(open_session: Open) -> None:
    done = list(open_session(plan()).start("sing me a song"))[-1]
    assert done["answer"].startswith(
        "I found nothing to run for this request. What I can do:\n- detect: Find things of these names."
    )


def test_reject(open_session: Open) -> None:
    session = open_session(plan(DOGS, ("blur", {})))
    list(session.start("blur them", {"image": picture()}))
    done = list(session.resume({"action": "reject", "reason": "not the cats"}))[-1]
    assert done["answer"] == "Nothing was run: not the cats"
    assert [step["state"] for step in done["record"]["steps"]] == ["waiting", "waiting"]
    assert session.state()["stands"] == "done"


def test_an_edited_plan_is_checked_again(open_session: Open) -> None:
    session = open_session(plan(DOGS, ("blur", {})))
    waiting = list(session.start("blur them", {"image": picture()}))[-1]
    edited = {**waiting["plan"], "steps": [waiting["plan"]["steps"][0], {"id": "s2", "tool": "blr", "args": {}}]}
    events = list(session.resume({"action": "edit", "plan": edited}))
    assert names(events) == ["problems", "approval"]
    assert "there is no tool 'blr'" in events[-1]["problems"][0]["message"]
    with pytest.raises(SessionError, match="has problems"):
        session.resume({"action": "accept"})
    edited["steps"] = [{"id": "s1", "tool": "detect", "args": {"labels": ["cat"]}}, {"id": "s2", "tool": "crop"}]
    edited["outputs"] = []
    events = list(session.resume({"action": "edit", "plan": edited}))
    assert names(events)[0] == "plan" and names(events)[-1] == "done"
    assert events[-1]["answer"] == "Cut out 1 cat: 1 picture."
    assert len(session.planner.asked) == 1  # type: ignore[attr-defined]


def test_a_remark_is_planned_again(open_session: Open) -> None:
    crop = plan(DOGS, ("crop", {}))
    session = open_session(plan(DOGS, ("blur", {})), crop, crop, plan(), plan(("blr", {})), plan(("blr", {})))
    list(session.start("blur dogs and cats", {"image": picture()}))
    events = list(session.resume({"action": "change", "remark": "cut them out instead"}))
    assert names(events) == ["plan", "approval"]
    assert [step["tool"] for step in events[-1]["plan"]["steps"]] == ["detect", "crop"]
    assert events[-1]["plan"]["request"] == "blur dogs and cats"
    asked = [request for request, *_ in session.planner.asked]  # type: ignore[attr-defined]
    assert asked == ["blur dogs and cats", "blur dogs and cats - actually, cut them out instead"]
    # A remark that leads to the same plan, to none or to a faulty one leaves the plan as it is, and says so.
    for remark, why in (("cut them", "the same plan"), ("sing", "no tool fits"), ("blr", "there is no tool 'blr'")):
        waiting = list(session.resume({"action": "change", "remark": remark}))[-1]
        assert waiting["event"] == "approval" and waiting["plan"] == events[-1]["plan"] and not waiting["problems"]
        assert "the remark did not change the plan" in waiting["warnings"][0]["message"]
        assert why in waiting["warnings"][0]["message"]
    record = list(session.resume({"action": "accept"}))[-1]["record"]
    assert [one.get("remark", "") for one in record["decisions"]] == [
        "cut them out instead",
        "cut them",
        "sing",
        "blr",
        "",
    ]
    assert record["decision"] == {"action": "accept"} and record["result"] == "done"


def test_a_looking_plan_waits_after_a_remark(open_session: Open) -> None:
    session = open_session(plan(DOGS, ("blur", {})), plan(DOGS))
    list(session.start("blur dogs and cats", {"image": picture()}))
    assert names(list(session.resume({"action": "change", "remark": "only find dogs and cats"}))) == [
        "plan",
        "approval",
    ]


def test_plans_with_the_same_tools_run_at_once(open_session: Open) -> None:
    policy = Policy(approved_tools={("detect", "blur")})
    blur, crop = plan(DOGS, ("blur", {"how": "fill"})), plan(DOGS, ("crop", {}))
    session = open_session(blur, blur, crop, policy=policy)
    assert list(session.start("blur dogs and cats", {"image": picture()}))[-1]["event"] == "done"
    assert list(session.start("blur dogs and cats and mail it to me"))[-1]["event"] == "approval"  # it is warned
    assert list(session.start("crop dogs and cats"))[-1]["event"] == "approval"


def test_a_replaced_plan_says_so_in_its_record(open_session: Open) -> None:
    session = open_session(plan(DOGS, ("blur", {})), plan(DOGS, ("count", {})))
    list(session.start("blur dogs and cats", {"image": picture()}))
    events = list(session.start("count dogs and cats"))
    assert names(events)[:2] == ["superseded", "plan"]
    record = events[0]["record"]
    assert record["superseded"] and record["request"] == "blur dogs and cats" and record["turn"] == 1
    assert (
        record["result"] == "refused" and record["ended"] and [s["state"] for s in record["steps"]] == ["waiting"] * 2
    )
    assert not events[-1]["record"]["superseded"] and events[-1]["record"]["turn"] == 2


def test_a_plan_that_lacks_weights_waits(open_session: Open, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_ROLE_CAPTION", "smolvlm-256m")
    monkeypatch.delenv("SUPERLINK_MODELS", raising=False)

    @tool(needs=weights_of("caption"))
    def describe(text: Text) -> Text:
        """Describe."""
        return text

    calls = plan(("describe", {"text": "x"}))
    waiting = list(open_session(calls, tools={"describe": describe}).start("describe it"))[-1]
    assert waiting["event"] == "approval"
    assert [(one["step"], one["weights"]) for one in waiting["missing"]] == [("s1", "smolvlm-256m")]
    scripted = open_session(calls, tools={"describe": describe}, thread="yes", policy=Policy(yes=True))
    assert list(scripted.start("describe it"))[-1]["event"] == "done"


def test_bad_decisions_leave_the_approval_waiting(open_session: Open) -> None:
    session = open_session(plan(DOGS, ("blur", {})))
    with pytest.raises(SessionError, match="nothing waits"):
        session.resume({"action": "accept"})
    list(session.start("blur them", {"image": picture()}))
    with pytest.raises(SessionError, match="'maybe' is no decision"):
        session.resume({"action": "maybe"})  # type: ignore[typeddict-item]
    with pytest.raises(PlanInvalid):
        session.resume({"action": "edit", "plan": {"steps": 3}})
    assert list(session.resume({"action": "accept"}))[-1]["event"] == "done"


def test_a_plan_can_be_brought_along(open_session: Open) -> None:
    session = open_session()
    done = list(session.start("count", {"image": picture()}, plan=plan(DOGS, ("count", {}))))[-1]
    assert done["answer"] == "count: 2 (dog 1, cat 1)."
    done = list(session.start("again", plan=plan(DOGS, ("count", {}))))[-1]
    assert list(done["outputs"]) == ["s4"]
    waiting = list(session.start("wrong", plan=plan(("counting", {}))))[-1]
    assert waiting["event"] == "approval" and waiting["problems"]
    scripted = open_session(thread="yes", policy=Policy(yes=True))
    assert list(scripted.start("wrong", plan=plan(("counting", {}))))[-1]["event"] == "done"


def test_a_failed_step_leaves_the_other_results(open_session: Open) -> None:
    calls = plan(
        ("shout", {"text": "a"}),
        ("fail", {"text": "$s1"}),
        ("shout", {"text": "$s2"}),
        ("shout", {"text": "$s3"}),
        ("shout", {"text": "b"}),
    )
    events = list(open_session(calls).start("go"))
    last = {event["step"]: event for event in events if event["event"] == "step"}
    assert {name: event["state"] for name, event in last.items()} == {
        "s1": "finished",
        "s2": "failed",
        "s3": "skipped",
        "s4": "skipped",
        "s5": "finished",
    }
    assert "cannot work on A" in last["s2"]["error"]["message"]
    assert (
        ", in fail" in last["s2"]["error"]["hint"] and "in fail\n    raise Runtime" in last["s2"]["error"]["traceback"]
    )
    done = events[-1]
    assert done["record"]["steps"][1]["error"] == last["s2"]["error"]
    assert list(done["outputs"]) == ["s5"]
    lines = done["answer"].splitlines()
    assert lines[0] == "B"
    assert lines[1].startswith("s2 (fail) failed: RuntimeError: cannot work on A.")
    assert lines[2:] == [
        "s3 (shout) was not run: it needs s2, which has no result.",
        "s4 (shout) was not run: it needs s3, which has no result.",
    ]
    assert {step["id"]: "error" in step for step in done["record"]["steps"]} == {
        "s1": False,
        "s2": True,
        "s3": True,
        "s4": True,
        "s5": False,
    }


def test_ready_steps_run_side_by_side(open_session: Open) -> None:
    barrier = threading.Barrier(3, timeout=WAIT)

    @tool
    def meet(text: Text) -> Text:
        """Wait until three are here."""
        barrier.wait()
        return text

    calls = plan(*[("meet", {"text": str(n)}) for n in range(3)])
    done = list(open_session(calls, tools={"meet": meet}).start("go"))[-1]
    assert [step["state"] for step in done["record"]["steps"]] == ["finished"] * 3


@tool
def rounds(text: Text, count: int) -> Text:
    """Work in rounds."""
    for _ in track(range(count)):
        pass
    return text


def test_a_running_step_tells_how_much_is_done(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = plan(("rounds", {"text": "a", "count": 3}))
    assert "progress" not in names(list(open_session(calls, tools={"rounds": rounds}).start("quick")))
    monkeypatch.setattr(nodes, "_PROGRESS_SECONDS", 0)
    events = list(open_session(calls, tools={"rounds": rounds}, thread="slow").start("slow"))
    assert names(events) == ["plan", "s1 started", *["progress"] * 4, "s1 finished", "done"]
    assert events[2:6] == [{"event": "progress", "step": "s1", "done": n, "total": 3} for n in range(4)]


def test_a_stopped_step_ends_at_its_next_round(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_PROGRESS_SECONDS", 0)
    session = open_session(plan(("rounds", {"text": "a", "count": 1 << 60})), tools={"rounds": rounds})
    before = set(abandon._abandoned)
    with pytest.raises(Stopped):
        for event in session.start("go"):
            if event["event"] == "progress":
                session.stop()
    [thread] = set(abandon._abandoned) - before
    thread.join(WAIT)
    assert not thread.is_alive()


def test_finished_parts_of_a_stopped_step_are_kept(open_session: Open) -> None:
    done: list[int] = []
    seen = threading.Event()

    def part(number: int) -> None:
        done.append(number)
        if number == 3:
            session.stop()
            seen.wait(WAIT)

    @tool
    def parts(text: Text) -> Text:
        """Work in parts."""
        return Text(str([kept(number, part, number) for number in track(range(6))]))

    session = open_session(plan(("parts", {"text": "a"})), tools={"parts": parts})
    before = set(abandon._abandoned)
    with pytest.raises(Stopped):
        list(session.start("go"))
    seen.set()
    [thread] = set(abandon._abandoned) - before
    thread.join(WAIT)
    assert done == [0, 1, 2, 3]
    assert list(session.continue_())[-1]["result"] == "done" and done == [0, 1, 2, 3, 4, 5]


def test_a_later_turn_uses_earlier_values(open_session: Open, store: Store) -> None:
    session = open_session(plan(DOGS), plan(("blur", {})), plan(("count", {"regions": ABOVE})))
    list(session.start("find dogs and cats", {"image": picture()}))
    events = list(session.start("now blur them"))
    assert session.planner.asked[1][1] == {"image": "Image", "s1": "Detections"}  # type: ignore[attr-defined]
    assert events[-1]["plan"]["steps"] == [{"id": "s2", "tool": "blur", "args": {"image": "$image", "regions": "$s1"}}]
    list(session.resume({"action": "accept"}))
    done = list(session.start("how many were there?"))[-1]
    assert done["record"]["plan"]["steps"][0]["id"] == "s3"
    assert done["answer"] == "count: 2 (dog 1, cat 1)."
    assert set(session.state()["values"]) == {"image", "s1", "s2", "s3"}


def test_lists_of_earlier_turns_still_go_together(open_session: Open) -> None:
    session = open_session(
        plan(DOGS, ("crop", {}), ("detect", {"labels": ["eye"]})), plan(("blur", {})), policy=Policy(yes=True)
    )
    list(session.start("find eyes", {"image": picture()}))
    done = list(session.start("blur the eyes"))[-1]
    assert done["record"]["plan"]["steps"][0]["args"] == {"image": "$s2", "regions": "$s3"}
    assert done["answer"] == "Made 2 pictures with blur (s4)."


def test_failed_steps_keep_their_ids(open_session: Open) -> None:
    session = open_session(
        plan(("fail", {"text": "x"})), plan(("shout", {"text": "y"})), plan(("shout", {"text": "$s1"}))
    )
    list(session.start("one"))
    assert list(session.start("two"))[-1]["record"]["steps"][0]["id"] == "s2"


def test_new_media_get_free_names(open_session: Open) -> None:
    session = open_session(*[plan(("ask", {"question": "how wide?"}))] * 3)
    list(session.start("one", {"image": picture(12)}))
    done = list(session.start("two", {"image": picture(20)}))[-1]
    assert done["record"]["plan"]["steps"][0]["args"]["image"] == "$image_2"
    assert done["answer"] == "how wide? 20"
    done = list(session.start("three", {"image": picture(12)}))[-1]
    assert done["answer"] == "how wide? 12" and set(done["record"]["given"]) == {"image", "image_2"}


def test_lists_as_media(open_session: Open) -> None:
    done = list(open_session(plan(("ask", {"question": "?"}))).start("ask", {"album": [picture(3), picture(4)]}))[-1]
    assert done["answer"] == "ask (s1) gave 2:\n1. ? 3\n2. ? 4"


@pytest.mark.parametrize(
    "media", [{"s1": picture()}, {"my photo": picture()}, {"mixed": [picture(), Text("x")]}, {"none": []}]
)
def test_odd_media_are_refused(open_session: Open, media: Any) -> None:
    session = open_session(plan(DOGS))
    with pytest.raises(ValueInvalid):
        list(session.start("find", media))
    assert list(session.start("find dogs and cats", {"image": picture()}))[-1]["event"] == "done"


def test_a_planner_that_cannot_work_says_so_and_can_be_asked_again(open_session: Open) -> None:
    session = open_session(SuperlinkError("the weights are missing", "Run superlink models pull"), plan(DOGS))
    with pytest.raises(SuperlinkError, match="superlink models pull"):
        list(session.start("find dogs and cats", {"image": picture()}))
    assert session.state()["stands"] == "working"
    assert list(session.continue_())[-1]["event"] == "done"


def test_a_new_request_gives_up_what_waits(open_session: Open) -> None:
    session = open_session(plan(DOGS, ("blur", {})), plan(DOGS))
    list(session.start("blur", {"image": picture()}))
    done = list(session.start("just find dogs and cats"))[-1]
    assert done["event"] == "done" and [step["tool"] for step in done["record"]["steps"]] == ["detect"]


def test_another_session_goes_on_with_the_thread(open_session: Open) -> None:
    list(open_session(plan(DOGS, ("blur", {}))).start("blur", {"image": picture()}))
    later = open_session()
    assert later.state()["stands"] == "approval"
    assert [event["event"] for event in later.continue_()] == ["approval"]
    done = list(later.resume({"action": "accept"}))[-1]
    assert list(open_session().continue_()) == [done]
    assert open_session(thread="other").state()["stands"] == "new"
    with pytest.raises(SessionError, match="nothing to continue"):
        open_session(thread="other").continue_()


def test_an_iterator_left_early_can_be_continued(open_session: Open) -> None:
    runs: list[str] = []

    @tool
    def note(text: Text) -> Text:
        """Remember that it ran."""
        runs.append(text.text)
        return Text(text.text + "+")

    session = open_session(
        plan(("note", {"text": "a"}), ("note", {"text": "$s1"}), ("note", {"text": "$s2"})), tools={"note": note}
    )
    events = session.start("go")
    for event in events:
        if event.get("step") == "s2" and event["state"] == "finished":
            break
    events.close()  # type: ignore[attr-defined]
    done = list(open_session(tools={"note": note}).continue_())[-1]
    assert done["answer"] == "a+++"
    assert runs.count("a") == 1


def test_state_carries_references_only(open_session: Open, tmp_path: Path) -> None:
    session = open_session(plan(DOGS, ("blur", {})), policy=Policy(yes=True))
    list(session.start("blur", {"image": picture(2000, 2000)}))
    session.close()
    assert sum(file.stat().st_size for file in (tmp_path / "memory").iterdir()) < 400_000


def test_the_longest_plan_runs(open_session: Open) -> None:
    calls = [("shout", {"text": f"$s{n}" if n else "x"}) for n in range(MAX_STEPS)]
    done = list(open_session(plan(*calls)).start("go"))[-1]
    assert done["answer"] == "X" and len(done["record"]["steps"]) == MAX_STEPS


def test_the_order_of_the_plan_says_which_result_is_newer(open_session: Open) -> None:
    first = plan(("shout", {"text": "a"}), ("shout", {"text": "$s1"}), ("shout", {"text": "b"}))
    session = open_session(first, plan(("shout", {})))
    list(session.start("three"))
    done = list(session.start("and again"))[-1]
    assert done["record"]["plan"]["steps"][0]["args"] == {"text": "$s3"}


def test_a_warned_plan_waits_for_a_person(open_session: Open) -> None:
    session = open_session(plan(DOGS))
    events = list(session.start("find the dogs and cats and blur them", {"image": picture(), "note": Text("hi")}))
    assert names(events) == ["plan", "approval"]
    messages = [warning["message"] for warning in events[-1]["warnings"]]
    assert len(messages) == 2 and events[0]["warnings"] == events[-1]["warnings"]
    assert "no step uses $note" in messages[0] and 'says "blur"' in messages[1]
    done = list(session.resume({"action": "accept"}))[-1]
    assert done["result"] == "done" and "Left out" not in done["answer"] and len(done["record"]["warnings"]) == 2


def test_yes_says_what_was_left_out(open_session: Open) -> None:
    session = open_session(plan(DOGS), policy=Policy(yes=True))
    events = list(session.start("find the dogs and cats and blur them", {"image": picture()}))
    assert events[0]["warnings"] and names(events)[-1] == "done"
    assert events[-1]["result"] == "partly"
    assert events[-1]["answer"].endswith('Left out: the request says "blur", and no step does (blur would).')


def test_a_plan_approved_before_does_not_wait(open_session: Open) -> None:
    first = open_session(plan(DOGS))
    waiting = list(first.start("blur the dogs", {"image": picture()}))[-1]
    session = open_session(plan(DOGS), policy=Policy(approved=frozenset({waiting["hash"]})), thread="another")
    assert names(list(session.start("blur the dogs", {"image": picture()})))[-1] == "done"


def test_what_a_person_keeps_is_used_by_the_next_request(open_session: Open, store: Store) -> None:
    session = open_session(plan(DOGS, ("count", {})), plan(("count", {}), request="again"), plan(("blur", {})))
    with pytest.raises(SessionError, match="nothing can be kept"):
        session.keep("s1", [])
    list(session.start("how many dogs and cats?", {"image": picture()}))
    found = store.get(session.state()["values"]["s1"])
    chosen = store.put(found.select([0]))
    with pytest.raises(SessionError, match="is not"):
        session.keep("s1", [chosen])
    assert session.keep("s1", session.state()["values"]["s1"]) == "kept"
    assert session.keep("s1", chosen) == "kept"  # instead of the first choice
    events = list(session.start("count them"))
    assert events[-1]["record"]["given"]["kept"] == chosen
    # It is older now than what a step of this request gives, and still belongs to the same picture.
    assert session.state()["values"]["kept"] == chosen
    waiting = list(session.start("blur them"))[-1]
    assert waiting["event"] == "approval" and waiting["problems"] == []
    assert waiting["plan"]["steps"][0]["args"]["image"] == "$image"
    with pytest.raises(SessionError, match="nothing can be kept"):
        session.keep("s1", chosen)
