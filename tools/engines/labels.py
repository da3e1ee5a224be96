"""Which of a model's class names a person's label means: plurals, spellings and true synonyms, nothing more."""

import re
from collections.abc import Iterator, Mapping, Sequence

from tools.core.errors import ValueInvalid

# Names of the same thing; the first of each is COCO's. Kinds of a thing are not the thing: a woman is a person, but
# who asks for women does not want every person.
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
_FACE = ("face", "human face", "person's face", "people's face")
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


def checked(labels: Sequence[str]) -> list[str]:
    """Return the labels without blanks around them and without repetitions.

    Raises:
        ValueInvalid: when there are none, or one is empty.
    """
    stripped = [label.strip() for label in labels]
    if not stripped or not all(stripped):
        raise ValueInvalid(
            "There is no label to look for" if not stripped else "One of the labels is empty",
            'Name what to find, such as ["dog"]',
        )
    return list(dict.fromkeys(stripped))


def is_face(label: str) -> bool:
    """Whether a label means people's faces."""
    return any(form in _FACE for form in _forms(label))


def choose(labels: Sequence[str], names: Mapping[int, str]) -> tuple[dict[int, str], list[str]]:
    """Tell which classes of a model are meant.

    Args:
        labels: What a person asked for.
        names: The model's class names by number.

    Returns:
        The label for each class that is meant (the first, where two labels mean the same class), and the labels that
        mean none.
    """
    by_form: dict[str, list[int]] = {}
    for number, name in names.items():
        for form in {_plain(name), *_forms(name)}:
            by_form.setdefault(form, []).append(number)
    chosen: dict[int, str] = {}
    unknown: list[str] = []
    for label in labels:
        meant = [n for n, name in names.items() if _plain(name) == _plain(label)]
        meant = meant or next((by_form[form] for form in _forms(label) if form in by_form), [])
        for number in meant:
            chosen.setdefault(number, label)
        if not meant:
            unknown.append(label)
    return chosen, unknown


def _plain(label: str) -> str:
    words = re.sub(r"[\s_-]+", " ", label.casefold().replace("’", "'")).strip()
    return re.sub(r"^(?:an?|the) (?=.)", "", words)


def _forms(label: str) -> Iterator[str]:
    """Yield a label's spelling, its singular, and the synonyms of both."""
    spellings = [_plain(label), *_singulars(_plain(label))]
    spellings += [_ANYTHING.sub("thing", spelling) for spelling in spellings if _ANYTHING.search(spelling)]
    yield from spellings
    for group in _SYNONYMS:
        if any(spelling in group for spelling in spellings):
            yield from group


def _singulars(words: str) -> list[str]:
    """Return what an English noun may be in the singular; some guesses are no words, which does no harm."""
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
    return [start + space + guess for guess in guesses if len(guess) > 2]  # a bus is no plural
