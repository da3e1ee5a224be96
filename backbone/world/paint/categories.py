"""The categories of things: names, sizes, places where they occur, and drawing functions."""

from collections.abc import Callable
from dataclasses import dataclass

from backbone.world.paint import animals, food, household, vehicles
from backbone.world.paint.palette import COLOURS
from backbone.world.paint.pen import Pen

ALL = tuple(COLOURS)


@dataclass(frozen=True)
class Category:
    """A category of things.

    Attributes:
        name: Its name, that of COCO where COCO has it.
        plural: Plural of the name.
        height: Height at the front of the picture, as a share of the picture's height.
        wide: Half its width, as a share of its height; used for the layout.
        place: "ground", "air", or "small" for things that may also lie on a table.
        scenes: "out", "in", "water" or "any".
        draw: Draws a thing; None for people, who are drawn by ``people.py``.
        shapes: Number of shapes.
        colours: Colour words that occur.
        flips: Whether things may face left.
    """

    name: str
    plural: str
    height: float
    wide: float
    place: str
    scenes: str
    draw: Callable[[Pen, int, str], None] | None
    shapes: int = 2
    colours: tuple[str, ...] = ALL
    flips: bool = True


_LIST = (
    Category("person", "people", 0.52, 0.24, "ground", "any", None, 1),
    Category(
        "dog",
        "dogs",
        0.22,
        0.7,
        "ground",
        "any",
        animals.dog,
        3,
        ("brown", "black", "white", "gray", "orange", "yellow"),
    ),
    Category("cat", "cats", 0.2, 0.42, "ground", "any", animals.cat, 3, ("orange", "black", "white", "gray", "brown")),
    Category(
        "horse", "horses", 0.42, 0.66, "ground", "out", animals.horse, 2, ("brown", "black", "white", "gray", "orange")
    ),
    Category("cow", "cows", 0.33, 0.85, "ground", "out", animals.cow, 2, ("brown", "black", "white", "orange")),
    Category(
        "sheep", "sheep", 0.22, 0.7, "ground", "out", animals.sheep, 2, ("white", "black", "gray", "brown", "pink")
    ),
    Category("bird", "birds", 0.12, 0.75, "small", "any", animals.bird, 2),
    Category(
        "duck", "ducks", 0.15, 0.7, "ground", "out", animals.duck, 2, ("yellow", "white", "brown", "green", "blue")
    ),
    Category(
        "elephant", "elephants", 0.5, 0.8, "ground", "out", animals.elephant, 2, ("gray", "blue", "pink", "purple")
    ),
    Category(
        "rabbit", "rabbits", 0.16, 0.45, "ground", "any", animals.rabbit, 2, ("white", "gray", "brown", "black", "pink")
    ),
    Category("fish", "fish", 0.11, 0.95, "air", "water", animals.fish, 2),
    Category("car", "cars", 0.26, 1.15, "ground", "out", vehicles.car, 3),
    Category("bus", "buses", 0.44, 1.0, "ground", "out", vehicles.bus),
    Category("truck", "trucks", 0.38, 1.05, "ground", "out", vehicles.truck),
    Category("bicycle", "bicycles", 0.28, 0.9, "ground", "out", vehicles.bicycle),
    Category("boat", "boats", 0.32, 0.75, "ground", "water", vehicles.boat),
    Category("airplane", "airplanes", 0.14, 1.15, "air", "out", vehicles.airplane),
    Category("chair", "chairs", 0.3, 0.32, "ground", "any", household.chair, 3),
    Category("couch", "couches", 0.3, 1.1, "ground", "in", household.couch, 2, ALL, False),
    Category(
        "dining table",
        "dining tables",
        0.24,
        0.95,
        "ground",
        "in",
        household.table,
        2,
        ("brown", "white", "black", "gray", "red", "blue", "yellow"),
    ),
    Category("bed", "beds", 0.26, 1.25, "ground", "in", household.bed),
    Category("lamp", "lamps", 0.42, 0.3, "ground", "in", household.lamp),
    Category("potted plant", "potted plants", 0.24, 0.35, "small", "any", household.potted_plant, 3),
    Category("book", "books", 0.11, 0.6, "small", "in", household.book),
    Category("clock", "clocks", 0.14, 0.5, "air", "in", household.clock, 2, ALL, False),
    Category("suitcase", "suitcases", 0.2, 0.5, "small", "any", household.suitcase),
    Category("umbrella", "umbrellas", 0.3, 0.62, "ground", "out", household.umbrella),
    Category("ball", "balls", 0.11, 0.5, "small", "any", household.ball, 3),
    Category("kite", "kites", 0.2, 0.4, "air", "out", household.kite),
    Category("balloon", "balloons", 0.26, 0.28, "air", "any", household.balloon),
    Category("apple", "apples", 0.08, 0.46, "small", "in", food.apple, 2, ("red", "green", "yellow")),
    Category("banana", "bananas", 0.08, 0.86, "small", "in", food.banana, 2, ("yellow", "green")),
    Category(
        "cake", "cakes", 0.12, 0.8, "small", "in", food.cake, 2, ("pink", "brown", "white", "yellow", "red", "blue")
    ),
    Category("pizza", "pizzas", 0.08, 0.98, "small", "in", food.pizza, 2, ("white", "blue", "green", "gray", "black")),
    Category("cup", "cups", 0.09, 0.6, "small", "in", food.cup),
    Category(
        "bottle", "bottles", 0.15, 0.25, "small", "in", food.bottle, 2, ("green", "brown", "blue", "red", "purple")
    ),
    Category(
        "traffic light",
        "traffic lights",
        0.46,
        0.2,
        "ground",
        "out",
        food.traffic_light,
        2,
        ("red", "yellow", "green"),
        False,
    ),
    Category(
        "fire hydrant",
        "fire hydrants",
        0.2,
        0.42,
        "ground",
        "out",
        food.fire_hydrant,
        2,
        ("red", "yellow", "blue", "orange"),
    ),
    Category(
        "bench",
        "benches",
        0.24,
        1.05,
        "ground",
        "out",
        food.bench,
        2,
        ("brown", "green", "red", "blue", "gray", "white"),
        False,
    ),
    Category("sign", "signs", 0.34, 0.62, "ground", "any", household.sign, 3, ALL, False),
)
CATEGORIES: dict[str, Category] = {kind.name: kind for kind in _LIST}
IDS: dict[str, int] = {kind.name: number for number, kind in enumerate(_LIST, 1)}
"""COCO category ids, from 1."""

WORDS = (
    "OPEN",
    "STOP",
    "SHOP",
    "PARK",
    "ZOO",
    "CAFE",
    "BUS",
    "EXIT",
    "FARM",
    "HOME",
    "TAXI",
    "BAKER",
    "HOTEL",
    "MUSIC",
    "SCHOOL",
    "MARKET",
    "25",
    "42",
    "BEACH",
    "TOYS",
    "BOOKS",
    "FRUIT",
    "NORTH",
    "LAKE",
)
