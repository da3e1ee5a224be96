"""The JSON that the shapes component shows, changes and hands back."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class Shape(TypedDict):
    """One thing in a picture; coordinates are pixels of the picture, with 0, 0 at its upper left corner.

    Attributes:
        id: Of what Python made, "VALUE:ROW", numbers from 0; of what a person added, any other string.
        type: "box", "polygon" (drawn by a person), "mask" (pixels that a tool found) or "joints".
        label: What it is.
        score: Between 0 and 1; None for what a person added.
        box: x0, y0, x1, y1; around the rings or joints of other types.
        rings: Of polygons and masks: closed rings of [x, y], filled by the even-odd rule, so that a ring in a ring is
            a hole.
        joints: Of joints: [x, y, score] for each of `common.skeleton.KEYPOINTS`; a score of 0 is "not seen".
        text: Words that were read here.
        track: Number of the track.
        frame: Number of the video's frame.
        state: "" as it came, "changed", "added" or "deleted" by a person.
        reshaped: Whether a person changed its place or outline.
    """

    id: str
    type: Literal["box", "polygon", "mask", "joints"]
    label: str
    score: float | None
    box: list[float]
    rings: NotRequired[list[list[list[float]]]]
    joints: NotRequired[list[list[float]]]
    text: NotRequired[str]
    track: NotRequired[int]
    frame: NotRequired[int]
    state: Literal["", "changed", "added", "deleted"]
    reshaped: NotRequired[bool]


class Outlined(TypedDict):
    """Answer to the event "outline".

    Attributes:
        serial: Of the event.
        rings: As in `Shape`; none where nothing was made out.
        box: Around them.
        said: Why there are none; "" where nothing was made out.
    """

    serial: int
    rings: list[list[list[float]]]
    box: list[float]
    said: str


class Shapes(TypedDict):
    """Value of the component: a picture and its shapes. Plain JSON.

    Attributes:
        picture: Address of the picture on this server; "" for none.
        name: What the picture is called.
        width: Pixels.
        height: Pixels.
        shapes: In the order of the value.
        frame: Number of the video's frame, which shapes that a person adds get; None for a still picture.
        labels: Labels that a person may give; the first nine have the keys 1 to 9.
        editable: Whether shapes can be added, changed and deleted.
        draw: What a person may add: "box", "polygon", "joints"; and change: "outline" and "brush" make outlines where
            there is "polygon", and boxes where not.
        keys: Action to key, where it differs from the default: box (b), polygon (g), joints (k), outline (o),
            brush (m), hide (h), zoom_in (+), zoom_out (-), zoom_all (0).
        commands: Key to the name of a command of the page; the component sends the event "command" with the name.
        threshold: Shapes with a lower score are not shown.
        hidden: Labels that are not shown.
        joints: Names of the joints, in order.
        links: Pairs of joints that a line connects.
        key: Of the page, which gets it back with every event.
        focus: Id of the shape that is selected at first.
        outlined: Answer to the event "outline".
    """

    picture: str
    name: str
    width: int
    height: int
    shapes: list[Shape]
    frame: int | None
    labels: list[str]
    editable: bool
    draw: list[str]
    keys: dict[str, str]
    commands: dict[str, str]
    threshold: float
    hidden: list[str]
    joints: list[str]
    links: list[list[int]]
    key: NotRequired[str]
    focus: NotRequired[str]
    outlined: NotRequired[Outlined]
