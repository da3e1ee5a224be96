"""The cards of the built-in tools that the planner was trained on.

The live cards come from the tools themselves. A test compares the two: a changed signature requires new training.
"""

from common.card import Card, CardInput, CardReturns, ParameterSchema


def _input(*kinds: str, optional: bool = False, literal: bool = False) -> CardInput:
    return {"kinds": list(kinds), "many": False, "optional": optional, "literal": literal}


def _card(
    name: str,
    output: str,
    inputs: dict[str, CardInput],
    params: dict[str, ParameterSchema] | None = None,
    required: tuple[str, ...] = (),
    one_of: tuple[str, ...] = (),
    many: bool = False,
    follows: str = "",
) -> Card:
    returns: CardReturns = {"kind": output, "many": many}
    if follows:
        returns["follows"] = follows
    return {
        "name": name,
        "doc": "",
        "inputs": inputs,
        "params": params or {},
        "required": list(required),
        "one_of": list(one_of),
        "returns": returns,
        "examples": [],
    }


_IMAGE = {"image": _input("Image")}
_IMAGE_OR_VIDEO = {"image": _input("Image", "Video")}
_REGIONS = {"regions": _input("Detections")}
_OPTIONAL_REGIONS = {"regions": _input("Detections", optional=True)}
_WORDS = _input("Text", "Transcript", "Number", literal=True)
_LABELS_SCHEMA: dict[str, ParameterSchema] = {"labels": {"type": "array", "items": {"type": "string"}}}
_WHICH_SCHEMA: ParameterSchema = {"enum": ["left", "right", "top", "bottom", "largest", "smallest", "best"]}
_HOW_SCHEMA: ParameterSchema = {"enum": ["blur", "pixelate", "fill"]}

BUILTIN_CARDS: dict[str, Card] = {
    card["name"]: card
    for card in (
        _card("detect", "Detections", _IMAGE_OR_VIDEO, {**_LABELS_SCHEMA, "min_score": {"type": "number"}}),
        _card("segment", "Detections", {**_IMAGE, **_OPTIONAL_REGIONS}, _LABELS_SCHEMA, (), ("labels", "regions")),
        _card("pose", "Poses", {**_IMAGE, **_OPTIONAL_REGIONS}),
        _card("track", "Detections", {"video": _input("Video")}, _LABELS_SCHEMA),
        _card("count", "Number", _REGIONS),
        _card("pick", "Detections", _REGIONS, {"which": _WHICH_SCHEMA}, ("which",)),
        _card("crop", "Image", {**_IMAGE, **_REGIONS}, many=True),
        _card("redact", "Image", {**_IMAGE_OR_VIDEO, **_REGIONS}, {"how": _HOW_SCHEMA}, follows="image"),
        _card("remove", "Image", {**_IMAGE_OR_VIDEO, **_REGIONS}, follows="image"),
        _card("edit", "Image", {**_IMAGE, "prompt": _WORDS}),
        _card("generate", "Image", {"prompt": _WORDS}),
        _card("read_text", "Transcript", _IMAGE),
        _card("caption", "Text", _IMAGE),
        _card("ask", "Text", {**_IMAGE, "question": _WORDS}),
        _card("transcribe", "Transcript", {"audio": _input("Audio", "Video")}),
        _card("speak", "Audio", {"text": _WORDS}),
    )
}
