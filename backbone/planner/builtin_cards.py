"""The cards of the built-in tools, as the planner was trained on them.

The live cards come from the tools themselves; a test holds the two equal, so a changed signature is seen to need training.
"""

from common.card import Card, CardInput, CardReturns, ParameterSchema


def _input(*kinds: str, optional: bool = False, literal: bool = False) -> CardInput:
    return {"kinds": list(kinds), "many": False, "optional": optional, "literal": literal}


def _card(
    name: str,
    gives: str,
    inputs: dict[str, CardInput],
    params: dict[str, ParameterSchema] | None = None,
    required: tuple[str, ...] = (),
    one_of: tuple[str, ...] = (),
    many: bool = False,
    follows: str = "",
) -> Card:
    returns: CardReturns = {"kind": gives, "many": many}
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
_PICTURE = {"image": _input("Image", "Video")}
_REGIONS = {"regions": _input("Detections")}
_CHOSEN = {"regions": _input("Detections", optional=True)}
_LABELS: dict[str, ParameterSchema] = {"labels": {"type": "array", "items": {"type": "string"}}}
_TEXT: ParameterSchema = {"type": "string"}
_WHICH: ParameterSchema = {"enum": ["left", "right", "top", "bottom", "largest", "smallest", "best"]}
_HOW: ParameterSchema = {"enum": ["blur", "pixelate", "fill"]}

ROUTE_CARDS: dict[str, Card] = {
    card["name"]: card
    for card in (
        _card("detect", "Detections", _PICTURE, {**_LABELS, "min_score": {"type": "number"}}, ("labels",)),
        _card("segment", "Detections", {**_IMAGE, **_CHOSEN}, _LABELS, (), ("labels", "regions")),
        _card("pose", "Poses", {**_IMAGE, **_CHOSEN}),
        _card("track", "Detections", {"video": _input("Video")}, _LABELS, ("labels",)),
        _card("count", "Number", _REGIONS),
        _card("pick", "Detections", _REGIONS, {"which": _WHICH}, ("which",)),
        _card("crop", "Image", {**_IMAGE, **_REGIONS}, many=True),
        _card("redact", "Image", {**_PICTURE, **_REGIONS}, {"how": _HOW}, follows="image"),
        _card("remove", "Image", {**_PICTURE, **_REGIONS}, follows="image"),
        _card("edit", "Image", _IMAGE, {"prompt": _TEXT}, ("prompt",)),
        _card("generate", "Image", {}, {"prompt": _TEXT}, ("prompt",)),
        _card("read_text", "Transcript", _IMAGE),
        _card("caption", "Text", _IMAGE),
        _card("ask", "Text", _IMAGE, {"question": _TEXT}, ("question",)),
        _card("transcribe", "Transcript", {"audio": _input("Audio", "Video")}),
        _card("speak", "Audio", {"text": _input("Text", "Transcript", "Number", literal=True)}),
    )
}
