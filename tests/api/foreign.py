"""Functions of a caller, and a planner of fixed rules that calls them."""

from typing import Any

from api.messages import ToolSchema
from tests.api.serve import RULES, Rules

TEXT = {"type": "string"}


def function(name: str, doc: str = "Do it.", required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    """A function as an entry of ``tools``; all parameters are required unless some are named."""
    schema = {"type": "object", "properties": properties, "required": list(required or properties)}
    return {"type": "function", "function": {"name": name, "description": doc, "parameters": schema}}


def schemas(*functions: dict[str, Any]) -> list[ToolSchema]:
    return [ToolSchema.model_validate(one) for one in functions]


WEATHER = function(
    "getWeather", "Get the weather in a city.", ("city",), city=TEXT, unit={"enum": ["celsius", "kelvin"]}
)
FETCH = function("fetch_page", "Fetch a web page.", url=TEXT)
EMAIL = function("send_email", "Send an email.", to=TEXT, body=TEXT)
FOREIGN = [WEATHER, FETCH, EMAIL]

RULES |= {
    "weather": [("get_weather", {"city": "Oslo"})],
    "both": [("get_weather", {"city": "Oslo"}), ("fetch_page", {"url": "a.example"})],
    "mail it": [("fetch_page", {"url": "a.example"}), ("send_email", {"to": "$$ana"})],  # the body is wired
}


class Counting(Rules):
    """The rules, with a count of words for tokens."""

    def count_tokens(self, text: str) -> int:
        return len(text.split())
