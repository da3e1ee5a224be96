"""Planners that ask a chat model with tool calling, behind an endpoint or on this computer."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.plan.plan import Plan
from agents.plan.problems import Problem
from agents.planners.base import Demonstration, first_free
from agents.planners.chat_prompt import ChatFunction, ChatMessage, function, messages, parse_call
from common.card import Card
from tools.core.errors import SuperlinkError
from tools.core.settings import expand_path
from tools.runtime.model_cache import device, resident


class ChatUnavailable(SuperlinkError):
    """A chat model cannot be reached, refuses to answer, or cannot be loaded."""


class ChatPlanner(ABC):
    """Asks a chat model, which writes the whole plan as the arguments of one call."""

    def plan(
        self,
        request: str,
        values: Mapping[str, str],
        tools: Sequence[Card],
        demonstrations: Sequence[Demonstration] = (),
        problems: Sequence[Problem] = (),
    ) -> Plan:
        """Plan a request; the model reads the problems of the plan before.

        Raises:
            PlanInvalid: what the model wrote is no plan.
            ChatUnavailable: the model cannot be reached or loaded.
        """
        first = first_free(values)
        written = self.call(messages(request, values, demonstrations, problems, first), function(tools))
        plan: dict[str, object] = {key: value for key, value in parse_call(written).items() if value is not None}
        steps = plan["steps"]
        if isinstance(steps, list):
            plan["steps"] = [
                {"id": f"s{n}", **step} if isinstance(step, dict) else step for n, step in enumerate(steps, first)
            ]
        return Plan.load({"outputs": [], **plan, "request": request})

    @abstractmethod
    def call(self, messages: list[ChatMessage], function: ChatFunction) -> str:
        """Ask for one call.

        Args:
            messages: ``{"role", "content"}`` each.
            function: ``{"name", "description", "parameters"}``, the function to call.

        Returns:
            What the model wrote: the arguments of the call as JSON, or a text that holds them.

        Raises:
            ChatUnavailable: the model cannot be reached or loaded.
        """


class OpenAIPlanner(ChatPlanner):
    """A model behind an endpoint that speaks the OpenAI protocol (vLLM, llama.cpp, Ollama, hosted services).

    Args:
        model: its name at the endpoint.
        base_url: such as "http://127.0.0.1:8000/v1"; by default what OPENAI_BASE_URL says, else OpenAI's own.
        key: name of the environment variable that holds the key; servers of one's own mostly need none.
        timeout: seconds to wait for an answer.
    """

    def __init__(
        self, model: str, base_url: str | None = None, key: str = "OPENAI_API_KEY", timeout: float = 120
    ) -> None:
        """Prepare; nothing is asked yet.

        Raises:
            ChatUnavailable: the package `openai` or the key is missing.
        """
        try:
            import openai
        except ImportError as error:
            raise ChatUnavailable(
                "chat models need the package openai", 'Run: pip install "superlink[chat]"'
            ) from error
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        secret = os.environ.get(key) or ("none" if base_url else "")
        if not secret:
            raise ChatUnavailable(f"there is no key for {model}", f"Set {key}, or OPENAI_BASE_URL to your own server")
        self.model = model
        self._client = openai.OpenAI(base_url=base_url, api_key=secret, timeout=timeout)

    def call(self, messages: list[ChatMessage], function: ChatFunction) -> str:
        """Ask for one call; the answer may also hold it as text."""
        import openai

        asked: Any = messages
        offered: Any = [{"type": "function", "function": function}]
        chosen: Any = {"type": "function", "function": {"name": function["name"]}}
        try:
            answer = self._client.chat.completions.create(
                model=self.model, messages=asked, tools=offered, tool_choice=chosen, temperature=0
            )
        except openai.OpenAIError as error:
            raise ChatUnavailable(
                f"the chat model {self.model} at {self._client.base_url} gave no answer: {error}",
                "Check address, key and model name",
            ) from error
        if not answer.choices:
            return ""
        message = answer.choices[0].message
        for tool_call in message.tool_calls or ():
            if tool_call.type == "function" and tool_call.function.name == function["name"]:
                return str(tool_call.function.arguments)
        return str(message.content or "")


class LocalChatPlanner(ChatPlanner):
    """A model on this computer, in the format of `transformers`, whose chat template knows tools.

    Args:
        folder: with the model and its tokenizer.
        longest: most tokens of an answer.
    """

    def __init__(self, folder: Path | str, longest: int = 1024) -> None:
        """Prepare; nothing is loaded yet.

        Raises:
            ChatUnavailable: there is no model in the folder.
        """
        self.folder, self.longest = expand_path(folder), longest
        if not (self.folder / "config.json").is_file():
            raise ChatUnavailable(f"there is no model in {folder}", "Give the folder that holds its config.json")
        size = sum(file.stat().st_size for file in self.folder.glob("*.safetensors"))
        self._loaded = resident(bytes=max(size, 1))(_load)

    def call(self, messages: list[ChatMessage], function: ChatFunction) -> str:
        """Ask for one call."""
        with self._loaded.lease(self.folder) as (model, tokenizer):
            prompt = tokenizer.apply_chat_template(
                messages,
                tools=[{"type": "function", "function": function}],
                add_generation_prompt=True,
                return_dict=True,
                return_tensors="pt",
            ).to(model.device)
            tokens = model.generate(**prompt, max_new_tokens=self.longest, do_sample=False)
            return str(tokenizer.decode(tokens[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))


def _load(folder: Path) -> tuple[Any, Any]:
    """The model in evaluation mode, and its tokenizer; nothing is fetched."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not any(folder.glob("*.safetensors")):
        raise ChatUnavailable(
            f"the model in {folder} cannot be loaded: it has no safetensors, and other weights can run code",
            "Choose a model that is saved as safetensors",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, dtype="auto", use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise ChatUnavailable(f"the model in {folder} cannot be loaded: {error}", "Check the folder") from error
    if not tokenizer.chat_template:
        raise ChatUnavailable(f"the model in {folder} has no chat template", "Choose a model made for chat")
    return model.to(device()).eval(), tokenizer
