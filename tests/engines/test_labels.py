"""Labels: plurals and synonyms meet the models' names, and nothing else does."""

import pytest

from tools.core.errors import ValueInvalid
from tools.engines import labels

COCO = dict(
    enumerate(
        [
            "person",
            "bicycle",
            "airplane",
            "bus",
            "knife",
            "sheep",
            "skis",
            "mouse",
            "couch",
            "tv",
            "cell phone",
            "wine glass",
            "sandwich",
            "scissors",
            "hot dog",
            "tie",
            "toothbrush",
        ]
    )
)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("person", "person"),
        ("People", "person"),
        ("the persons", "person"),
        ("humans", "person"),
        ("bikes", "bicycle"),
        ("plane", "airplane"),
        ("aeroplanes", "airplane"),
        ("buses", "bus"),
        ("knives", "knife"),
        ("sheep", "sheep"),
        ("ski", "skis"),
        ("mice", "mouse"),
        ("sofas", "couch"),
        ("a television", "tv"),
        ("cellphones", "cell phone"),
        ("smart-phone", "cell phone"),
        ("wine glasses", "wine glass"),
        ("sandwiches", "sandwich"),
        ("scissors", "scissors"),
        ("hotdogs", "hot dog"),
        ("ties", "tie"),
        ("Toothbrushes", "toothbrush"),
    ],
)
def test_plurals_and_synonyms(label: str, name: str) -> None:
    chosen, unknown = labels.choose([label], COCO)
    assert {COCO[number]: asked for number, asked in chosen.items()} == {name: label}
    assert not unknown


@pytest.mark.parametrize(
    "label",
    [
        "woman",
        "child",
        "tourist",
        "pony",
        "glass",
        "phone",
        "table",
        "ladder",
        "license plate",
        "person in red",
        "s",
        "the",
        "bu",
        "日本語",
    ],
)
def test_other_words_are_left_to_the_open_vocabulary(label: str) -> None:
    assert labels.choose([label], COCO) == ({}, [label])


def test_names_of_any_model() -> None:
    names = {0: "License_Plate", 1: "woman", 2: "Sofa", 3: "oxen"}
    chosen, unknown = labels.choose(["license plates", "women", "couch", "ox", "people"], names)
    assert chosen == {0: "license plates", 1: "women", 2: "couch", 3: "ox"}
    assert unknown == ["people"]


def test_things_named_by_colour_alone() -> None:
    names = {0: "red thing", 1: "blue thing"}
    chosen, unknown = labels.choose(["red objects", "blue item", "red car", "the item"], names)
    assert chosen == {0: "red objects", 1: "blue item"}
    assert unknown == ["red car", "the item"]


def test_the_first_of_two_labels_for_one_class_is_kept() -> None:
    assert labels.choose(["people", "person"], COCO) == ({0: "people"}, [])


def test_an_exact_name_wins_over_a_synonym() -> None:
    names = {0: "couch", 1: "sofa"}
    assert labels.choose(["sofa", "couch"], names)[0] == {0: "couch", 1: "sofa"}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("face", True),
        ("Faces", True),
        ("human faces", True),
        ("people’s faces", True),
        ("a face", True),
        ("clock face", False),
        ("cat face", False),
        ("surface", False),
        ("facade", False),
    ],
)
def test_faces(label: str, expected: bool) -> None:
    assert labels.is_face(label) is expected


def test_labels_are_needed() -> None:
    assert labels.normalize([" dog ", "cat", "dog"]) == ["dog", "cat"]
    for wrong in ([""], ["dog", "  "]):
        with pytest.raises(ValueInvalid, match="label"):
            labels.normalize(wrong)
