"""Measure the planner as a function-calling model: requests over thirty functions of a caller, turn by turn.

    python benchmarks/foreign_functions.py

Each request goes through `api.completions`, as ``superlink serve`` answers it; what a function returns is made up. A
request is right when its calls are the expected ones, in order, with their arguments ("the" does not count). It was
handed back when nothing was called and the answer says why; anything else is wrong.
"""

import json
import statistics
import time
from typing import Any

from agents.planners.backbone import BackbonePlanner
from api.completions import Plans, complete
from api.messages import ChatRequest

TEXT, WHOLE, NUMBER, SWITCH = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
TEXTS = {"type": "array", "items": TEXT}
Call = tuple[str, dict[str, object]]


def choice(*words: str) -> dict[str, object]:
    return {"type": "string", "enum": list(words)}


def function(name: str, doc: str, required: str, /, **properties: object) -> dict[str, object]:
    schema = {"type": "object", "properties": properties, "required": required.split()}
    return {"type": "function", "function": {"name": name, "description": doc, "parameters": schema}}


FUNCTIONS = [
    function(
        "get_weather", "Get the current weather in a city.", "city", city=TEXT, unit=choice("celsius", "fahrenheit")
    ),
    function("send_email", "Send an email to somebody.", "to body", to=TEXT, subject=TEXT, body=TEXT),
    function(
        "convert_currency",
        "Convert an amount of money from one currency to another.",
        "amount from_currency to_currency",
        amount=NUMBER,
        from_currency=TEXT,
        to_currency=TEXT,
    ),
    function(
        "translate_text",
        "Translate a text to another language.",
        "text target_language",
        text=TEXT,
        target_language=TEXT,
    ),
    function(
        "createCalendarEvent",
        "Create an event in the calendar.",
        "title date",
        title=TEXT,
        date=TEXT,
        durationMinutes=WHOLE,
    ),
    function(
        "search_flights",
        "Search for flights between two airports.",
        "origin destination",
        origin=TEXT,
        destination=TEXT,
        date=TEXT,
        max_price=NUMBER,
    ),
    function("book_hotel", "Book a hotel room in a city.", "city nights", city=TEXT, nights=WHOLE, guests=WHOLE),
    function("play_music", "Play a song or an artist.", "query", query=TEXT, shuffle=SWITCH),
    function("set_timer", "Set a timer for a number of minutes.", "minutes", minutes=WHOLE, label=TEXT),
    function("get_stock_price", "Get the latest price of a stock by its ticker symbol.", "symbol", symbol=TEXT),
    function("add_todo", "Add an item to the to-do list.", "item", item=TEXT, priority=choice("low", "medium", "high")),
    function("summarize_text", "Summarize a text in a few sentences.", "text", text=TEXT, max_sentences=WHOLE),
    function("search_web", "Search the web.", "query", query=TEXT, limit=WHOLE),
    function("fetch_page", "Fetch the content of a web page by its address.", "url", url=TEXT),
    function("turn_on_light", "Turn on the light in a room.", "room", room=TEXT, brightness=WHOLE),
    function("lock_door", "Lock a door of the house.", "door", door=TEXT),
    function(
        "set_thermostat",
        "Set the temperature of the thermostat.",
        "temperature",
        temperature=NUMBER,
        mode=choice("heat", "cool", "auto"),
    ),
    function(
        "order_pizza",
        "Order a pizza for delivery.",
        "size toppings",
        size=choice("small", "medium", "large"),
        toppings=TEXTS,
    ),
    function(
        "post_message", "Post a message to a channel of the team chat.", "channel message", channel=TEXT, message=TEXT
    ),
    function(
        "create_issue",
        "Create an issue in a project of the tracker.",
        "project title",
        project=TEXT,
        title=TEXT,
        severity=choice("minor", "major", "critical"),
    ),
    function(
        "resize_image",
        "Resize a picture file to a width and height in pixels.",
        "path width height",
        path=TEXT,
        width=WHOLE,
        height=WHOLE,
    ),
    function("delete_file", "Delete a file.", "path", path=TEXT),
    function("count_words", "Count the words of a text.", "text", text=TEXT),
    function(
        "calculate_bmi", "Calculate the body mass index.", "weight_kg height_cm", weight_kg=NUMBER, height_cm=NUMBER
    ),
    function("roll_dice", "Roll dice.", "sides", sides=WHOLE, count=WHOLE),
    function("track_parcel", "Find where a parcel is by its tracking number.", "tracking_number", tracking_number=TEXT),
    function("call_contact", "Call a person by phone.", "name", name=TEXT),
    function(
        "get_directions",
        "Get directions from one place to another.",
        "start end",
        start=TEXT,
        end=TEXT,
        by=choice("car", "bike", "foot", "train"),
    ),
    function(
        "find_recipe", "Find a recipe with some ingredients.", "ingredients", ingredients=TEXTS, vegetarian=SWITCH
    ),
    function("write_note", "Write a note to the notebook.", "title note", title=TEXT, note=TEXT),
]

NEWS = "https://example.org/news"
REQUESTS: dict[str, list[tuple[str, list[Call]]]] = {
    "ten requests": [
        ("What's the weather in Lisbon in celsius?", [("get_weather", {"city": "Lisbon", "unit": "celsius"})]),
        (
            "convert 250 dollars to euros",
            [("convert_currency", {"amount": 250, "from_currency": "dollars", "to_currency": "euros"})],
        ),
        ("Set a timer for 12 minutes", [("set_timer", {"minutes": 12})]),
        (
            "order a large pizza with mushrooms and olives",
            [("order_pizza", {"size": "large", "toppings": ["mushrooms", "olives"]})],
        ),
        ("resize banner.png to 800 by 600", [("resize_image", {"path": "banner.png", "width": 800, "height": 600})]),
        (
            "give me directions from the station to the museum by bike",
            [("get_directions", {"start": "station", "end": "museum", "by": "bike"})],
        ),
        (
            "find out the price of AAPL and post it to the finance channel",
            [("get_stock_price", {"symbol": "AAPL"}), ("post_message", {"channel": "finance", "message": "result 1"})],
        ),
        (
            f"fetch {NEWS}, summarize it in 3 sentences and email it to ana@example.org",
            [
                ("fetch_page", {"url": NEWS}),
                ("summarize_text", {"text": "result 1", "max_sentences": 3}),
                ("send_email", {"to": "ana@example.org", "body": "result 2"}),
            ],
        ),
        (
            "create a critical issue in the billing project: invoices are sent twice",
            [("create_issue", {"project": "billing", "title": "invoices are sent twice", "severity": "critical"})],
        ),
        ("write me a poem about the sea", []),
    ],
    "six that pass a result on": [
        (
            "get the price of AAPL, then post the price to the finance channel",
            [("get_stock_price", {"symbol": "AAPL"}), ("post_message", {"channel": "finance", "message": "result 1"})],
        ),
        (
            "translate 'good morning' to French and send it to bob@example.org by email",
            [
                ("translate_text", {"text": "good morning", "target_language": "French"}),
                ("send_email", {"to": "bob@example.org", "body": "result 1"}),
            ],
        ),
        (
            "fetch the page example.org/a and count its words",
            [("fetch_page", {"url": "example.org/a"}), ("count_words", {"text": "result 1"})],
        ),
        (
            "fetch the page example.org/a, then translate it to German",
            [
                ("fetch_page", {"url": "example.org/a"}),
                ("translate_text", {"text": "result 1", "target_language": "German"}),
            ],
        ),
        (
            "search the web for tide tables and write the result to a note called tides",
            [("search_web", {"query": "tide tables"}), ("write_note", {"title": "tides", "note": "result 1"})],
        ),
        (
            "get the weather in Oslo, then email the weather to kim@example.org",
            [("get_weather", {"city": "Oslo"}), ("send_email", {"to": "kim@example.org", "body": "result 1"})],
        ),
    ],
}


def converse(words: str, plans: Plans) -> tuple[list[Call], str]:
    """The calls of a whole conversation, each answered with "result N", and what is said in the end."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": words}]
    made: list[Call] = []
    while True:
        request = {"model": "superlink", "messages": messages, "tools": FUNCTIONS}
        reply = complete(ChatRequest.model_validate(request), plans)
        if not reply.calls:
            return made, reply.content or ""
        messages.append({"role": "assistant", "tool_calls": [call.model_dump() for call in reply.calls]})
        for call in reply.calls:
            made.append((call.function.name, json.loads(call.function.arguments)))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"result {len(made)}"})


def plain(value: object) -> object:
    return value.removeprefix("the ") if isinstance(value, str) else value


def main() -> None:
    plans = Plans(BackbonePlanner())
    converse("roll two dice", plans)  # reads model and functions
    for title, rows in REQUESTS.items():
        verdicts: list[str] = []
        seconds: list[float] = []
        print(f"\n{title}")
        for words, expected in rows:
            began = time.perf_counter()
            made, said = converse(words, plans)
            seconds.append(time.perf_counter() - began)
            right = [(name, {key: plain(value) for key, value in args.items()}) for name, args in made] == expected
            verdicts.append("right" if right else "wrong" if made else "handed back")
            print(f"  {verdicts[-1]:12} {words}" + ("" if right else f"\n{'':15}{made or said.splitlines()[0]}"))
        counts = ", ".join(f"{verdicts.count(one)} {one}" for one in ("right", "handed back", "wrong"))
        print(f"  {counts}; {statistics.median(seconds):.2f} s a conversation (median)")


if __name__ == "__main__":
    main()
