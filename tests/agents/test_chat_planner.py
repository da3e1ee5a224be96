"""Chat models as planners: over HTTP against a server on this computer, and in this process."""

import json
import pickle
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agents.plan.plan import PlanInvalid
from agents.plan.problems import Problem
from agents.planners.base import Demonstration
from agents.planners.chat import ChatUnavailable, LocalChatPlanner, OpenAIPlanner
from agents.planners.chat_prompt import CALL, parse_call, plan_schema
from agents.session.session import Session
from tests.agents.fakes import TOOLS, picture
from tools import Store

CARDS = [tool.card() for tool in TOOLS.values()]


class Server(ThreadingHTTPServer):
    """A server with the part of the OpenAI protocol that a planner needs; keeps the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def says(self, *plans: Any) -> None:
        """Answer with calls of these arguments (texts as they are), one for each request."""
        for plan in plans:
            written = plan if isinstance(plan, str) else json.dumps(plan)
            call = {"id": "call_1", "type": "function", "function": {"name": CALL, "arguments": written}}
            self.answers.append({"role": "assistant", "content": None, "tool_calls": [call]})


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        server.keys.append(self.headers["Authorization"])
        message = server.answers.pop(0) if server.answers else None
        known = self.path == "/v1/chat/completions" and message is not None
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": server.asked[-1]["model"],
            "choices": [choice],
        }
        data = json.dumps(
            body if known else {"error": {"message": "no such model", "type": "invalid_request_error"}}
        ).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_one_call_becomes_a_plan(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    server.says(
        {
            "steps": [
                {"tool": "detect", "args": {"labels": ["dog"]}},
                {"id": "x", "tool": "count", "args": {"regions": "$s4"}},
            ],
            "outputs": None,
        }
    )
    plan = OpenAIPlanner("tiny", server.url, key="MY_KEY").plan(
        "count the dogs", {"image": "Image", "s3": "Text"}, CARDS
    )
    assert plan.request == "count the dogs" and plan.outputs == ()
    assert [(step.id, step.tool) for step in plan.steps] == [("s4", "detect"), ("x", "count")]
    (asked,) = server.asked
    assert server.keys == ["Bearer secret"]
    assert asked["model"] == "tiny"
    assert asked["tool_choice"] == {"type": "function", "function": {"name": CALL}}
    assert asked["tools"][0]["function"]["parameters"] == plan_schema(CARDS)
    system, user = asked["messages"]
    assert "s4, s5, …" in system["content"]
    assert "$image: Image\n$s3: Text" in user["content"] and user["content"].endswith("Request: count the dogs")


def test_the_schema_names_every_tool_with_its_arguments() -> None:
    steps = {
        step["properties"]["tool"]["const"]: step
        for step in plan_schema(CARDS)["properties"]["steps"]["items"]["anyOf"]
    }
    assert list(steps) == list(TOOLS)
    args = steps["detect"]["properties"]["args"]
    assert args["required"] == ["labels"] and args["additionalProperties"] is False
    assert args["properties"]["min_score"]["maximum"] == 1
    assert args["properties"]["image"]["anyOf"][0]["description"] == "Reference to Image"
    assert steps["say"]["properties"]["args"]["properties"]["text"]["type"] == "string"
    assert 'Example: "find the dogs".' in steps["detect"]["description"]
    assert "Give at least one of labels, regions." in steps["segment"]["description"]
    assert steps["segment"]["properties"]["args"]["anyOf"] == [{"required": ["labels"]}, {"required": ["regions"]}]
    assert "anyOf" not in args
    assert "Gives a list of Image." in steps["crop"]["description"]


def test_problems_and_demonstrations_are_sent_along(server: Server) -> None:
    server.says({"steps": []})
    shown = Demonstration(["Image"], "find cats", [{"tool": "detect", "args": {"labels": ["cat"]}}])
    problem = Problem("s1", "labels", "detect needs labels", "Add labels")
    plan = OpenAIPlanner("tiny", server.url).plan("find dogs", {"image": "Image"}, CARDS, [shown], [problem])
    assert plan.steps == ()
    system, user = server.asked[0]["messages"]
    assert 'With Image at hand, "find cats" is planned as [{"id": "s1", "tool": "detect"' in system["content"]
    assert "- s1.labels: detect needs labels. Add labels" in user["content"]


def test_a_session_sends_problems_back_until_the_plan_holds(server: Server, tmp_path: Path) -> None:
    server.says(
        '{"steps": [{"id"',
        {"steps": [{"id": "s1", "tool": "detect", "args": {}}]},
        {
            "steps": [
                {"id": "s1", "tool": "detect", "args": {"labels": ["dog"]}},
                {"id": "s2", "tool": "count", "args": {}},
            ]
        },
    )
    with Session(
        "t", tools=TOOLS, planner=OpenAIPlanner("tiny", server.url), store=Store(tmp_path / "s"), memory=tmp_path / "t"
    ) as session:
        done = list(session.start("count the dogs", {"image": picture()}))[-1]
    assert done["answer"] == "count: 1 (dog)."
    said = [asked["messages"][1]["content"] for asked in server.asked]
    assert "no call of submit_plan came back" in said[1]
    assert "s1.labels: detect needs labels. Add labels" in said[2]


def test_a_server_that_writes_the_call_as_text(server: Server) -> None:
    server.answers.append(
        {"role": "assistant", "content": 'Sure:\n```json\n{"steps": [{"tool": "read", "args": {}}]}\n```'}
    )
    assert OpenAIPlanner("tiny", server.url).plan("read it", {}, CARDS).steps[0].tool == "read"


@pytest.mark.parametrize(
    "written",
    [
        '{"steps": []}',
        '{"name": "submit_plan", "arguments": {"steps": []}}',
        '<tool_call>\n{"name": "submit_plan", "parameters": {"steps": []}}',
        '{"name": "submit_plan", "arguments": "{\\"steps\\": []}"}',
        'I think {so} {"a": 1} {"steps": []} {"steps": 1}',
    ],
)
def test_calls_are_found_in_what_models_write(written: str) -> None:
    assert parse_call(written) == {"steps": []}


@pytest.mark.parametrize("written", ["", "no", "{", '{"a": 1}', "[]", '{"steps"', "{" * 5000, '{"arguments": "{"}'])
def test_what_holds_no_call_is_reported(written: str) -> None:
    with pytest.raises(PlanInvalid, match="no call of submit_plan came back"):
        parse_call(written)


def test_steps_that_are_no_steps_are_reported(server: Server) -> None:
    server.says({"steps": "none"}, {"steps": ["detect"]}, {"steps": [{"tool": "detect", "args": {}, "why": "so"}]})
    for _ in range(3):
        with pytest.raises(PlanInvalid, match="is not a plan"):
            OpenAIPlanner("tiny", server.url).plan("go", {}, CARDS)


def test_an_endpoint_that_refuses_or_is_not_there(server: Server) -> None:
    with pytest.raises(ChatUnavailable, match=r"tiny at http://127.0.0.1.*no such model"):
        OpenAIPlanner("tiny", server.url).plan("go", {}, CARDS)
    gone = OpenAIPlanner("tiny", "http://127.0.0.1:9/v1", timeout=1)
    with pytest.raises(ChatUnavailable, match="gave no answer"):
        gone.plan("go", {}, CARDS)


def test_a_missing_key_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ChatUnavailable, match="Set OPENAI_API_KEY"):
        OpenAIPlanner("gpt")


TEMPLATE = """{% for t in tools %}{{ t.function.name }} {{ t.function.parameters.properties | length }} {% endfor %}\
{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}{% if add_generation_prompt %}\
<assistant> {% endif %}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model of a few thousand random weights, in the format of `transformers`."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    words = ["<unk>", "<eos>", "<assistant>", "submit_plan", "{", "}", '"steps"', ":", "[", "]"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>")
    fast.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4096,
        eos_token_id=1,
        bos_token_id=None,
        pad_token_id=1,
    )
    place = tmp_path_factory.mktemp("model")
    LlamaForCausalLM(config).save_pretrained(place)
    fast.save_pretrained(place)
    return place


def test_a_local_model_is_loaded_and_asked(folder: Path) -> None:
    planner = LocalChatPlanner(folder, longest=8)
    written = planner.call(
        [{"role": "user", "content": "go"}], {"name": CALL, "description": "", "parameters": {"properties": {}}}
    )
    assert isinstance(written, str) and "go" not in written
    with pytest.raises(PlanInvalid, match="no call of submit_plan"):
        planner.plan("count the dogs", {"image": "Image"}, CARDS)


def test_a_local_model_that_writes_a_plan(folder: Path) -> None:
    """The same loading and templating, with weights that say one thing only."""
    import torch

    planner = LocalChatPlanner(str(folder), longest=12)
    with planner._loaded.lease(planner.folder) as (model, _):
        script = [4, 6, 7, 8, 9, 5, 1]

        def forced(input_ids: Any, scores: Any) -> Any:
            done = int((input_ids[0] == 2).nonzero().max())
            only = torch.full_like(scores, -torch.inf)
            only[0, script[input_ids.shape[1] - done - 1]] = 0
            return only

        plain = model.generate
        model.generate = lambda **given: plain(**given, logits_processor=[forced])
        try:
            assert planner.plan("nothing", {}, CARDS).steps == ()
        finally:
            model.generate = plain


def test_folders_without_a_chat_model_are_reported(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ChatUnavailable, match="there is no model in"):
        LocalChatPlanner(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ChatUnavailable, match="cannot be loaded"):
        LocalChatPlanner(tmp_path).plan("go", {}, CARDS)
    for file in folder.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ChatUnavailable, match="has no chat template"):
        LocalChatPlanner(tmp_path).plan("go", {}, CARDS)


def test_code_in_a_model_folder_is_not_run(folder: Path, tmp_path: Path) -> None:
    model, marker = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(folder, model)
    (model / "custom.py").write_text(
        f"open({str(marker)!r}, 'w').close()\n"
        "from transformers import LlamaConfig as Config, LlamaForCausalLM as Model, PreTrainedTokenizerFast as Words\n"
    )
    config = json.loads((model / "config.json").read_text())
    config |= {
        "model_type": "unheard",
        "auto_map": {"AutoConfig": "custom.Config", "AutoModelForCausalLM": "custom.Model"},
    }
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(ChatUnavailable, match="cannot be loaded"):
        LocalChatPlanner(model).plan("go", {}, CARDS)
    shutil.copyfile(folder / "config.json", model / "config.json")
    words = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(
        json.dumps(words | {"auto_map": {"AutoTokenizer": [None, "custom.Words"]}})
    )
    with suppress(ChatUnavailable, PlanInvalid):  # it may be loaded without its code
        LocalChatPlanner(model).plan("go", {}, CARDS)
    assert not marker.exists()


def test_pickled_weights_of_a_model_folder_are_not_loaded(folder: Path, tmp_path: Path) -> None:
    model, marker = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(folder, model, ignore=shutil.ignore_patterns("*.safetensors"))

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (marker,))

    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ChatUnavailable, match="it has no safetensors, and other weights can run code"):
        LocalChatPlanner(model).plan("go", {}, CARDS)
    assert not marker.exists()
