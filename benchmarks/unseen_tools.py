"""Eight tools that no planner was trained on: with `unseen_requests.jsonl` they measure planning for new tools."""

import random
import re
from collections import Counter
from typing import Literal

import numpy as np

from tools import Audio, Image, Number, Text, ToolError, tool

_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a about all also am an and any are as at be been but by can could did do does for from get go had has have he "
        "her him his how i if in into is it its just like me more my no not of on one or our out she so some than that "
        "the "
        "their them then there these they this to uh um up us was we were what when which who will with would you "
        "your",
    )
)
_LENGTHS = {"m": 1.0, "km": 1000.0, "cm": 0.01, "mile": 1609.344, "foot": 0.3048, "inch": 0.0254}
_WEIGHTS = {"kg": 1.0, "g": 0.001, "pound": 0.45359237, "ounce": 0.028349523125}
_VOLUMES = {"litre": 1.0, "ml": 0.001, "gallon": 3.785411784}
Unit = Literal[
    "m",
    "km",
    "cm",
    "mile",
    "foot",
    "inch",
    "kg",
    "g",
    "pound",
    "ounce",
    "litre",
    "ml",
    "gallon",
    "celsius",
    "fahrenheit",
]


@tool(examples=["make a colour palette from this picture", "which six colours are used most in the photo?"])
def dominant_colours(image: Image, how_many: int = 5) -> Text:
    """List the main colours of a picture with their shares; how_many says how many colours."""
    from PIL import Image as Pil

    if not 1 <= how_many <= 64:
        raise ToolError("The number of colours must be between 1 and 64", "Ask for fewer colours")
    small = Pil.fromarray(image.pixels)
    small.thumbnail((200, 200))
    reduced = small.quantize(how_many, kmeans=2)
    palette = np.asarray(reduced.getpalette(), dtype=int).reshape(-1, 3)
    shares = Counter(np.asarray(reduced).ravel().tolist()).most_common()
    total = sum(number for _, number in shares)
    return Text(
        "\n".join(
            "#{}{}{} {:.0f} %".format(*(f"{part:02x}" for part in palette[index]), 100 * number / total)
            for index, number in shares
        )
    )


@tool(examples=["turn the scan a quarter to the right", "rotate my picture 15 degrees counterclockwise"])
def rotate(image: Image, degrees: float, direction: Literal["left", "right"]) -> Image:
    """Rotate a picture to the left (counterclockwise) or to the right (clockwise); the corners become white."""
    from PIL import Image as Pil

    angle = degrees if direction == "left" else -degrees
    turned = Pil.fromarray(image.pixels).rotate(angle, Pil.Resampling.BICUBIC, expand=True, fillcolor="white")
    return Image.from_pil(turned)


@tool(examples=["write my shop's name on the photo: Blue Door Pottery", "add the watermark 'sample' in the lower left"])
def watermark(
    image: Image,
    words: str,
    place: Literal["top left", "top right", "bottom left", "bottom right", "centre"] = "bottom right",
    opacity: float = 0.6,
) -> Image:
    """Write a watermark over a picture; opacity goes from 0 (invisible) to 1 (solid)."""
    from PIL import Image as Pil
    from PIL import ImageDraw, ImageFont

    if not 0 <= opacity <= 1:
        raise ToolError(f"The opacity must be between 0 and 1, not {opacity:g}", "30 percent is 0.3")
    size = max(10, image.height // 16)
    length = ImageFont.load_default(size=size).getlength(words)
    font = ImageFont.load_default(size=size * min(1, 0.9 * image.width / max(length, 1)))
    layer = Pil.new("RGBA", (image.width, image.height))
    draw = ImageDraw.Draw(layer)
    left, top, right, bottom = draw.textbbox((0, 0), words, font=font, stroke_width=1)
    margin = max(2, min(image.width, image.height) // 40)
    room_x, room_y = image.width - (right - left), image.height - (bottom - top)
    x = room_x / 2 if place == "centre" else margin if "left" in place else room_x - margin
    y = room_y / 2 if place == "centre" else margin if "top" in place else room_y - margin
    alpha = round(255 * opacity)
    draw.text(
        (x - left, y - top), words, font=font, fill=(255, 255, 255, alpha), stroke_width=1, stroke_fill=(0, 0, 0, alpha)
    )
    return Image.from_pil(Pil.alpha_composite(Pil.fromarray(image.pixels).convert("RGBA"), layer).convert("RGB"))


@tool(examples=["keep only seconds 10 to 25 of the recording", "drop everything after the first minute and fade out"])
def trim(recording: Audio, start: float = 0, end: float | None = None, fade: bool = False) -> Audio:
    """Keep the part of a recording from start to end (in seconds), faded in and out if asked."""
    last = recording.seconds if end is None else min(end, recording.seconds)
    if not 0 <= start < last:
        raise ToolError(f"Nothing lies between {start:g} and {last:g} s of {recording.seconds:.1f}", "Check the times")
    kept = np.array(recording.samples[round(start * recording.rate) : round(last * recording.rate)])
    if len(kept) == 0:
        raise ToolError("The part to keep is shorter than one sample", "Check the times")
    if fade:
        ramp = np.linspace(0, 1, min(recording.rate, len(kept) // 2), dtype=np.float32)[:, None]
        kept[: len(ramp)] *= ramp
        kept[len(kept) - len(ramp) :] *= ramp[::-1]
    return Audio(kept, recording.rate)


@tool(
    examples=[
        "which words come up most often in this speech?",
        "the three most repeated words in: row row row your boat",
    ]
)
def frequent_words(text: Text, top: int = 10, skip_common: bool = False) -> Text:
    """List the top words that a text uses most often; skip_common leaves out little words such as "the" and "of"."""
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text.text.lower())
    counted = Counter(word for word in words if not (skip_common and word in _COMMON))
    return Text("\n".join(f"{word} {number}" for word, number in counted.most_common(max(top, 1))))


@tool(examples=["what is 10 km in miles?", "convert 500 g to ounces"])
def convert_units(amount: float, from_unit: Unit, to_unit: Unit) -> Number:
    """Convert a length, weight, volume or temperature to another unit."""
    if from_unit == to_unit:
        return Number(amount, to_unit)
    if (from_unit, to_unit) == ("celsius", "fahrenheit"):
        return Number(amount * 9 / 5 + 32, to_unit)
    if (from_unit, to_unit) == ("fahrenheit", "celsius"):
        return Number((amount - 32) * 5 / 9, to_unit)
    for units in (_LENGTHS, _WEIGHTS, _VOLUMES):
        if from_unit in units and to_unit in units:
            return Number(amount * units[from_unit] / units[to_unit], to_unit)
    raise ToolError(f"{from_unit} cannot be converted to {to_unit}", "Choose two units of the same kind")


@tool(examples=["share a bill of 90 among 5 friends", "what does each of us 2 owe for 48 with 12% tip?"])
def split_bill(total: float, people: int, tip_percent: float = 0) -> Number:
    """Work out what each person pays of a shared bill, with a tip in percent on top."""
    if people < 1:
        raise ToolError("A bill needs at least one person to pay it", "Say how many people there are")
    return Number(round(total * (1 + tip_percent / 100) / people, 2))


@tool(
    examples=[
        "divide Ada, Bob, Cy and Di into two teams",
        "three random teams, each with a captain, from this list: Ed, Flo, Gus, Hal, Ivy, Joy",
    ]
)
def make_teams(names: list[str], teams: int, captains: bool = False) -> Text:
    """Divide people into teams by lot, each with a captain if asked."""
    if not 1 <= teams <= len(names):
        raise ToolError(f"{len(names)} people cannot make {teams} teams", "Ask for fewer teams")
    drawn = random.sample(names, len(names))
    groups = [drawn[index::teams] for index in range(teams)]
    if captains:
        groups = [[f"{group[0]} (captain)", *group[1:]] for group in groups]
    return Text("\n".join(f"Team {number}: {', '.join(group)}" for number, group in enumerate(groups, 1)))
