"""Twelve tools of the houses in `house_requests.jsonl`, who call them by nicknames that only an example explains."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tools import Audio, Image, Number, Text, tool


@tool(examples=["reduce the photo to three tones", "posterise this picture"])
def posterise(image: Image, levels: Annotated[int, Field(ge=2, le=64)] = 8) -> Image:
    """Reduce a picture to a few levels of each colour."""
    steps = np.round(image.pixels / 255 * (levels - 1)) * (255 / (levels - 1))
    return Image.from_numpy(steps.astype(np.uint8))


@tool(examples=["put a black border of 10 pixels round the photo", "add a border"])
def add_border(
    image: Image, width: Annotated[int, Field(ge=1, le=1000)] = 10, colour: Literal["white", "grey", "black"] = "grey"
) -> Image:
    """Add a plain border round a picture; width is in pixels."""
    level = {"white": 255, "grey": 128, "black": 0}[colour]
    around = ((width, width), (width, width), (0, 0))
    return Image.from_numpy(np.pad(image.pixels, around, constant_values=level))


@tool(examples=["swap left and right in this photo", "mirror the picture"])
def mirror(image: Image) -> Image:
    """Mirror a picture from left to right."""
    return Image.from_numpy(np.ascontiguousarray(image.pixels[:, ::-1]))


@tool(examples=["lay six copies of this side by side", "print the photo twice in a row"])
def contact_print(image: Image, copies: Annotated[int, Field(ge=1, le=24)] = 2) -> Image:
    """Lay copies of a picture side by side."""
    return Image.from_numpy(np.tile(image.pixels, (1, copies, 1)))


@tool(examples=["stamp PAID on the invoice", "stamp the word DRAFT on it"])
def file_stamp(image: Image, words: str) -> Image:
    """Stamp words on a picture in red."""
    from PIL import Image as Pil
    from PIL import ImageDraw, ImageFont

    stamped = Pil.fromarray(image.pixels)
    font = ImageFont.load_default(size=max(10, image.height // 12))
    ImageDraw.Draw(stamped).text((image.width // 20, image.height // 20), words, font=font, fill=(190, 20, 20))
    return Image.from_pil(stamped)


@tool(examples=["make the picture black and white", "take the colours out"])
def grey(image: Image) -> Image:
    """Turn a picture grey."""
    from PIL import Image as Pil

    return Image.from_pil(Pil.fromarray(image.pixels).convert("L").convert("RGB"))


@tool(examples=["how bright is the photo?"])
def brightness(image: Image) -> Number:
    """Measure the mean brightness of a picture in percent."""
    return Number(round(float(image.pixels.mean()) / 2.55, 1), "%")


@tool(examples=["how loud is the recording?"])
def loudness(audio: Audio) -> Number:
    """Measure the mean level of a recording in decibels below full scale."""
    level = float(np.sqrt(np.mean(np.square(audio.samples, dtype=np.float64))))
    return Number(round(20 * float(np.log10(max(level, 1e-6))), 1), "dB")


@tool(examples=["write the text in capitals"])
def shout(text: Text) -> Text:
    """Write a text in capital letters."""
    return Text(text.text.upper())


@tool(examples=["keep the first 20 words of the text"])
def first_words(text: Text, number: Annotated[int, Field(ge=1)] = 50) -> Text:
    """Keep the first words of a text."""
    return Text(" ".join(text.text.split()[:number]))


@tool(examples=["make a list of what was said"])
def bullet_list(text: Text) -> Text:
    """Write each sentence of a text on a line of its own with a bullet."""
    sentences = [part.strip() for part in text.text.replace("\n", ". ").split(". ")]
    return Text("\n".join(f"• {sentence}" for sentence in sentences if sentence))
