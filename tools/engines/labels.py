"""Matching of labels with a model's class names, by plurals, spellings and synonyms."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain

from tools.core.errors import ValueInvalid

# Synonyms; the first of each group is COCO's name. Hyponyms are not included: a request for women must not detect every
# person.
_SYNONYMS = (
    ("person", "people", "human", "human being", "persons"),
    ("bicycle", "bike", "pushbike", "pedal cycle"),
    ("motorcycle", "motorbike", "motor cycle"),
    ("car", "automobile", "motorcar", "motor car"),
    ("airplane", "plane", "aeroplane", "air plane"),
    ("truck", "lorry"),
    ("traffic light", "traffic signal", "stoplight", "traffic lamp"),
    ("fire hydrant", "hydrant"),
    ("backpack", "rucksack", "knapsack", "back pack"),
    ("handbag", "hand bag"),
    ("tie", "necktie"),
    ("suitcase", "suit case"),
    ("skis", "ski"),
    ("skateboard", "skate board"),
    ("surfboard", "surf board"),
    ("tennis racket", "tennis racquet"),
    ("wine glass", "wineglass"),
    ("hot dog", "hotdog"),
    ("donut", "doughnut"),
    ("couch", "sofa"),
    ("potted plant", "pottedplant", "pot plant", "houseplant", "house plant"),
    ("dining table", "diningtable"),
    ("tv", "television", "television set", "tv set", "tvmonitor", "tv monitor"),
    ("laptop", "laptop computer", "notebook computer"),
    ("mouse", "computer mouse"),
    ("remote", "remote control"),
    ("keyboard", "computer keyboard"),
    ("cell phone", "cellphone", "mobile phone", "mobile", "smartphone", "smart phone"),
    ("microwave", "microwave oven"),
    ("refrigerator", "fridge"),
    ("teddy bear", "teddy"),
    ("hair drier", "hair dryer", "hairdryer", "hairdrier", "blow dryer"),
    ("toothbrush", "tooth brush"),
)
_ANYTHING = re.compile(r"\b(?:object|item)$")
FACE = "face"
"""The usual label of a human face."""
_FACE = (FACE, "human face", "person's face", "people's face")
_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "teeth": "tooth",
    "oxen": "ox",
}


def normalize(labels: Sequence[str]) -> list[str]:
    """Return the labels without surrounding blanks and without duplicates.

    Raises:
        ValueInvalid: when one is empty.
    """
    stripped = [label.strip() for label in labels]
    if not all(stripped):
        raise ValueInvalid("One of the labels is empty", 'Name what to find, such as ["dog"]')
    return list(dict.fromkeys(stripped))


def is_face(label: str) -> bool:
    """Whether a label means human faces."""
    return any(form in _FACE for form in _forms(label))


def choose(labels: Sequence[str], names: Mapping[int, str]) -> tuple[dict[int, str], list[str]]:
    """Match labels with the classes of a model.

    Args:
        labels: Labels of the request.
        names: The model's class names by number.

    Returns:
        The label of each matched class by its number (the first one if two labels match the class), and the labels
        that match none.
    """
    by_name: dict[str, list[int]] = {}
    by_form: dict[str, list[int]] = {}
    for number, name in names.items():
        forms = _forms(name)
        by_name.setdefault(forms[0], []).append(number)
        for form in set(forms):
            by_form.setdefault(form, []).append(number)
    chosen: dict[int, str] = {}
    unknown: list[str] = []
    for label in labels:
        forms = _forms(label)
        matched = by_name.get(forms[0]) or next((by_form[form] for form in forms if form in by_form), [])
        for number in matched:
            chosen.setdefault(number, label)
        if not matched:
            unknown.append(label)
    return chosen, unknown


def _plain(label: str) -> str:
    words = re.sub(r"[\s_-]+", " ", label.casefold().replace("’", "'")).strip()
    return re.sub(r"^(?:an?|the) (?=.)", "", words)


@lru_cache(maxsize=4096)  # each search asks for the forms of all class names
def _forms(label: str) -> tuple[str, ...]:
    """Return a label's spelling, its singular, and the synonyms of both."""
    spellings = [_plain(label), *_singulars(_plain(label))]
    spellings += [_ANYTHING.sub("thing", spelling) for spelling in spellings if _ANYTHING.search(spelling)]
    groups = (group for group in _SYNONYMS if any(spelling in group for spelling in spellings))
    return (*spellings, *chain.from_iterable(groups))


def _singulars(words: str) -> list[str]:
    """Return possible singulars of an English noun; not all of them are words, which does no harm."""
    start, space, last = words.rpartition(" ")
    guesses: list[str] = []
    if last in _IRREGULAR:
        return [start + space + _IRREGULAR[last]]
    if last.endswith("ies"):
        guesses += [last[:-3] + "y", last[:-1]]
    elif last.endswith("ves"):
        guesses += [last[:-3] + "f", last[:-3] + "fe", last[:-1]]
    elif last.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        guesses += [last[:-2], last[:-1]]
    elif last.endswith("s") and not last.endswith("ss"):
        guesses.append(last[:-1])
    return [start + space + guess for guess in guesses if len(guess) > 2]  # "bus" is not a plural
