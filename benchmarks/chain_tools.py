"""Sixteen further tools that no planner was trained on: `chain_requests.jsonl` joins them with built-in ones."""

import random
import re
from collections import deque
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tools import Audio, Detections, Image, Number, Poses, Segment, Text, ToolError, Transcript, Video, tool

Month = Literal[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTHS: tuple[str, ...] = Month.__args__  # type: ignore[attr-defined]  # the choices of a Literal
_SEMITONES = {"c": -9, "d": -7, "e": -5, "f": -4, "g": -2, "a": 0, "b": 2}
_NOTE = re.compile(r"([A-Ga-g])([#b]?)(\d?)")
_RATE = 22_050
_WALLS = {"white": (250, 250, 248), "grey": (120, 120, 120), "oak": (150, 110, 70)}
_PINS = {"red": (200, 30, 30), "blue": (30, 60, 200), "black": (20, 20, 20)}
_LEFT_WRIST, _RIGHT_WRIST, _LEFT_SHOULDER, _RIGHT_SHOULDER = 9, 10, 5, 6


@tool(examples=["sew this photo as a quilt", "a patchwork quilt 20 patches wide with visible seams"])
def quilt_pattern(image: Image, patches: Annotated[int, Field(ge=2, le=100)] = 16, seams: bool = False) -> Image:
    """Turn a picture into the pattern of a patchwork quilt.

    Args:
        image: The picture.
        patches: How many patches wide the quilt is.
        seams: Whether seams are drawn between the patches.
    """
    from PIL import Image as Pil

    rows = max(1, round(patches * image.height / image.width))
    small = Pil.fromarray(image.pixels).resize((patches, rows), Pil.Resampling.BOX).quantize(12).convert("RGB")
    side = max(4, 960 // patches)
    quilt = np.asarray(small).repeat(side, axis=0).repeat(side, axis=1)
    if seams:
        quilt[::side] = quilt[:, ::side] = 235
    return Image.from_numpy(quilt)


@tool(examples=["print a memory game of these pictures", "lay out pairs for a memory game in six columns"])
def memory_game(
    pictures: list[Image], columns: Annotated[int, Field(ge=2, le=12)] = 4, shuffled: bool = False
) -> Image:
    """Lay out pictures as a sheet of cards for a memory game, each of them twice.

    Args:
        pictures: What the cards show.
        columns: How many cards lie in a row.
        shuffled: Whether the cards lie in random order.
    """
    from PIL import Image as Pil
    from PIL import ImageOps

    if not pictures:
        raise ToolError("There are no pictures for the cards", "Cut out something that is in the picture")
    cards = [ImageOps.pad(Pil.fromarray(one.pixels), (190, 190), color="white") for one in pictures for _ in "ab"]
    if shuffled:
        random.Random(len(cards)).shuffle(cards)
    sheet = Pil.new("RGB", (200 * columns, 200 * -(-len(cards) // columns)), "grey")
    for place, card in enumerate(cards):
        sheet.paste(card, (200 * (place % columns) + 5, 200 * (place // columns) + 5))
    return Image.from_pil(sheet)


@tool(examples=["how high is the sun at noon in June at 40 degrees north?", "noon sun in March at latitude -33"])
def noon_sun(latitude: Annotated[float, Field(ge=-90, le=90)], month: Month) -> Number:
    """Tell how many degrees above the horizon the sun stands at noon in the middle of a month.

    Args:
        latitude: Degrees north of the equator; the south is negative.
        month: The month.
    """
    day = 30.4 * _MONTHS.index(month) + 15
    declination = -23.44 * np.cos(2 * np.pi * (day + 10) / 365)
    return Number(round(float(90 - abs(latitude - declination)), 1), "degrees")


@tool(examples=["hang my painting with the label: Oil on canvas, 1911", "a museum label under it, on a grey wall"])
def exhibit_label(image: Image, text: Text, title: str = "", wall: Literal["white", "grey", "oak"] = "white") -> Image:
    """Hang a picture on a wall of a museum, with a label under it.

    Args:
        image: The picture.
        text: What the label says.
        title: Title of the exhibit, above the text.
        wall: The wall on which it hangs.
    """
    from PIL import Image as Pil
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size=max(12, image.width // 36))
    per_line = max(8, int(image.width * 0.8 / font.getlength("n")))
    lines = [line for part in (title, text.text) for line in re.findall(rf"\S.{{0,{per_line - 1}}}(?!\S)|\S+", part)]
    label = "\n".join(lines)
    margin = max(20, image.width // 12)
    _, _, wide, high = ImageDraw.Draw(Pil.new("L", (1, 1))).textbbox((0, 0), label or " ", font=font)
    hung = Pil.new("RGB", (image.width + 2 * margin, image.height + int(high) + 4 * margin), _WALLS[wall])
    hung.paste(Pil.fromarray(image.pixels), (margin, margin))
    x, y = (hung.width - wide) // 2, image.height + 2 * margin
    draw = ImageDraw.Draw(hung)
    draw.rectangle((x - 12, y - 12, x + wide + 12, y + high + 12), fill="white", outline="grey")
    draw.text((x, y), label, font=font, fill="black")
    return Image.from_pil(hung)


@tool(examples=["when does the bird call in this recording?", "note every call above 3000 Hz"])
def call_times(recording: Audio, above_hz: Annotated[int, Field(ge=100, le=20_000)] = 1500) -> Transcript:
    """List the times at which a bird calls in a recording.

    Args:
        recording: The recording.
        above_hz: Calls are counted from this pitch on, in hertz.
    """
    sound, size = recording.samples.mean(axis=1), max(64, recording.rate // 20)
    loud: list[bool] = []
    for start in range(0, len(sound) - size + 1, size):
        power = np.abs(np.fft.rfft(sound[start : start + size] * np.hanning(size))) ** 2
        high = power[np.fft.rfftfreq(size, 1 / recording.rate) >= above_hz].sum()
        loud.append(bool(high > 0.5 * power.sum() and power.sum() > 1e-3))
    calls = []
    edges = np.flatnonzero(np.diff([0, *loud, 0]))
    for number, (first, last) in enumerate(edges.reshape(-1, 2).tolist(), 1):
        begin, end = first * size / recording.rate, last * size / recording.rate
        calls.append(Segment(f"call {number} at {begin:.1f} s", begin, end))
    return Transcript(tuple(calls))


@tool(examples=["play C E G on a flute", "let me hear the notes A, B, A, G on bells at 120 beats"])
def play_notes(
    notes: list[str],
    tempo: Annotated[int, Field(ge=30, le=240)] = 90,
    voice: Literal["flute", "organ", "bell"] = "flute",
) -> Audio:
    """Play a melody of single notes.

    Args:
        notes: Names of the notes in order, such as ["C", "F#", "Bb", "A5"].
        tempo: Beats in a minute; every note lasts a beat.
        voice: The instrument.
    """
    beat = np.arange(_RATE * 60 // tempo) / _RATE
    partials, decay = {"flute": ((1.0, 0.2), 0.5), "organ": ((1.0, 0.7, 0.5, 0.3), 0.0), "bell": ((1.0, 0, 0.6), 5.0)}[
        voice
    ]
    played = []
    for note in notes:
        named = _NOTE.fullmatch(note.strip())
        if named is None:
            raise ToolError(f"{note!r} is no note", "Notes are called C, D, E, F, G, A or B, with # or b behind them")
        letter, sign, octave = named.groups()
        step = _SEMITONES[letter.lower()] + {"#": 1, "b": -1, "": 0}[sign] + 12 * (int(octave or 4) - 4)
        pitch = 440 * 2 ** (step / 12)
        tone = sum(share * np.sin(2 * np.pi * pitch * (k + 1) * beat) for k, share in enumerate(partials))
        played.append(tone * np.exp(-decay * beat) * np.minimum(1, np.minimum(beat, beat[::-1]) * 50) / sum(partials))
    if not played:
        raise ToolError("There are no notes to play", "Name at least one")
    return Audio(np.concatenate(played), _RATE)


@tool(examples=["let my singing follow itself as a round", "make a canon for 3 voices, each entering 4 seconds later"])
def sing_in_canon(
    song: Audio,
    voices: Annotated[int, Field(ge=2, le=6)] = 2,
    delay: Annotated[float, Field(ge=0.1, le=30)] = 2,
) -> Audio:
    """Make a canon of a recording: further voices come in later with the same tune.

    Args:
        song: The recording.
        voices: How many voices there are.
        delay: Seconds until the next voice comes in.
    """
    shift = round(delay * song.rate)
    mixed = np.zeros((len(song.samples) + shift * (voices - 1), song.channels), np.float32)
    for voice in range(voices):
        mixed[voice * shift : voice * shift + len(song.samples)] += song.samples / voices
    return Audio(mixed, song.rate)


@tool(examples=["who won? make a photo finish of the race", "photo finish with the line at a quarter of the width"])
def photo_finish(video: Video, line: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Image:
    """Make a photo finish of a race: what passed the finishing line, side by side in the order of time.

    Args:
        video: The race.
        line: Where the line is, from 0 (left edge) to 1 (right edge).
    """
    column = round(line * (video.width - 1))
    return Image.from_numpy(np.stack([frame[:, column] for _, _, frame in video.frames()], axis=1))


@tool(examples=["how many of the cars cross the middle?", "count those that pass to the left"])
def crossings(
    tracked: Detections, direction: Literal["to the left", "to the right", "either way"] = "either way"
) -> Number:
    """Count how many of the things followed through a video cross the middle of the picture.

    Args:
        tracked: What was followed.
        direction: Which way they go.
    """
    if tracked.ids is None or tracked.frames is None:
        raise ToolError("These things were not followed through a video", "Use track before")
    middle, passed = tracked.size[1] / 2, 0
    centres = (tracked.xyxy[:, 0] + tracked.xyxy[:, 2]) / 2
    for one in np.unique(tracked.ids):
        rows = np.flatnonzero(tracked.ids == one)
        first, last = centres[rows[tracked.frames[rows].argmin()]], centres[rows[tracked.frames[rows].argmax()]]
        passed += (first < middle <= last and direction != "to the left") or (
            last < middle <= first and direction != "to the right"
        )
    return Number(int(passed))


@tool(examples=["how many raised their hand?", "who has both arms up in the vote?"])
def raised_hands(poses: Poses, both: bool = False) -> Number:
    """Count the people who hold a hand above their shoulder.

    Args:
        poses: The joints of the people.
        both: Whether both hands have to be up.
    """
    y = poses.keypoints[:, :, 1]
    up = np.stack([y[:, _LEFT_WRIST] < y[:, _LEFT_SHOULDER], y[:, _RIGHT_WRIST] < y[:, _RIGHT_SHOULDER]], axis=1)
    return Number(int((up.all(axis=1) if both else up.any(axis=1)).sum()))


@tool(examples=["how long is the longest pause of the speaker?", "where he hesitates most: how many seconds?"])
def longest_pause(speech: Transcript) -> Number:
    """Measure the longest pause between two pieces of speech, in seconds.

    Args:
        speech: What was said, with times.
    """
    times = sorted((s.start, s.end) for s in speech.segments if s.start is not None and s.end is not None)
    gaps = [after[0] - before[1] for before, after in zip(times, times[1:], strict=False)]
    return Number(round(max(0.0, *gaps, 0.0), 2), "s")


@tool(examples=["put numbered pins on the houses of this map", "pin a number on each tree, from 10 on"])
def pin_numbers(
    image: Image,
    regions: Detections,
    first: Annotated[int, Field(ge=0, le=999)] = 1,
    colour: Literal["red", "blue", "black"] = "red",
) -> Image:
    """Put a numbered pin on each thing that was found, as on a map.

    Args:
        image: The picture.
        regions: What gets a pin.
        first: Number of the first pin.
        colour: Colour of the pins.
    """
    from PIL import Image as Pil
    from PIL import ImageDraw, ImageFont

    canvas = Pil.fromarray(image.pixels)
    draw, radius = ImageDraw.Draw(canvas), max(9, min(image.size) // 40)
    font = ImageFont.load_default(size=radius)
    for number, (x0, y0, x1, y1) in enumerate(regions.xyxy.tolist(), first):
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_PINS[colour], outline="white")
        draw.text((x, y), str(number), font=font, fill="white", anchor="mm")
    return Image.from_pil(canvas)


@tool(examples=["cut my speech into cue cards", "cue cards of 3 sentences each from this text"])
def cue_cards(text: Text, sentences: Annotated[int, Field(ge=1, le=12)] = 2) -> list[Text]:
    """Divide a text into cue cards for a speaker.

    Args:
        text: The text.
        sentences: How many sentences stand on a card.
    """
    said = [one for one in re.split(r"(?<=[.!?…])\s+|\n+", text.text.strip()) if one]
    return [Text(" ".join(said[start : start + sentences])) for start in range(0, len(said), sentences)]


@tool(examples=["draw the number as tally marks", "chalk up the result like a score in a pub"])
def tally_marks(amount: Number, surface: Literal["paper", "blackboard", "wood"] = "paper") -> Image:
    """Draw a number as tally marks, in bundles of five.

    Args:
        amount: The number, rounded.
        surface: What the marks are drawn on.
    """
    from PIL import Image as Pil
    from PIL import ImageDraw

    marks = round(amount.value)
    if not 0 <= marks <= 1000:
        raise ToolError(f"{amount} cannot be drawn as tally marks", "Give a number between 0 and 1000")
    back, ink = {"paper": ("#fffdf5", "#222222"), "blackboard": ("#203028", "#f4f4f4"), "wood": ("#c09060", "#40220c")}[
        surface
    ]
    bundles = max(1, -(-marks // 5))
    sheet = Pil.new("RGB", (20 + 80 * min(bundles, 10), 20 + 80 * -(-bundles // 10)), back)
    draw = ImageDraw.Draw(sheet)
    for mark in range(marks):
        x, y = 20 + 80 * (mark // 5 % 10), 20 + 80 * (mark // 50)
        place = mark % 5
        ends = (x - 6, y + 45, x + 50, y + 15) if place == 4 else (x + 14 * place, y, x + 14 * place, y + 60)
        draw.line(ends, fill=ink, width=4)
    return Image.from_pil(sheet)


@tool(examples=["let the dancers leave a trail", "a ghostly trail of 20 frames behind everything that moves"])
def ghost_trail(video: Video, frames: Annotated[int, Field(ge=2, le=60)] = 8) -> Video:
    """Let everything that moves in a video leave a ghostly trail.

    Args:
        video: The video; its sound is left out.
        frames: How many frames long the trail is.
    """

    def trailing() -> Iterator[NDArray[np.uint8]]:
        held: deque[NDArray[np.uint8]] = deque(maxlen=frames)
        for _, _, frame in video.frames():
            held.append(frame)
            yield (0.5 * frame + 0.5 * np.mean(held, axis=0)).astype(np.uint8)

    return Video.from_frames(trailing(), video.fps)


@tool(examples=["is there milk or soy in this ingredient list?", "I can't eat nuts: what on the menu is a danger?"])
def spot_allergens(text: Text, avoid: list[str], traces: bool = False) -> Text:
    """List the lines of a recipe, menu or label that name something a person must avoid.

    Args:
        text: The recipe, menu or label.
        avoid: What must be avoided, such as ["nuts", "milk"].
        traces: Whether lines that speak of traces only are listed, too.
    """
    found = []
    for line in text.text.splitlines():
        named = [one for one in avoid if re.search(rf"\b{re.escape(one.lower().rstrip('s'))}", line.lower())]
        if named and (traces or not re.search(r"\btraces?\b|may contain", line.lower())):
            found.append(f"{', '.join(named)}: {line.strip()}")
    return Text("\n".join(found) or "Nothing to avoid was named.")
