"""Names of things in words: with article, number and distinguishing adjective."""

from collections import Counter

from backbone.world.paint.categories import CATEGORIES
from backbone.world.scene.scene import Thing
from backbone.world.truth.render import Instance

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def article(words: str) -> str:
    """Return the words with ``a`` or ``an``."""
    return f"{'an' if words[0] in 'aeio' or words.startswith('umb') else 'a'} {words}"


def quantity(count: int, category: str) -> str:
    """Return count and name: ``two dogs``."""
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{number} {category if count == 1 else CATEGORIES[category].plural}"


def noun(thing: Thing) -> str:
    """Return the name with the colour: ``red car``, ``person in a red shirt``."""
    if thing.category == "person":
        wear = "dress" if thing.looks and thing.looks.wear == "dress" else "shirt"
        return f"person in {article(f'{thing.colour} {wear}')}"
    if thing.category == "traffic light":
        return f"{thing.colour} traffic light"
    return f"{thing.colour} {thing.category}"


def enumeration(parts: list[str]) -> str:
    """Return the parts as an enumeration: ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def count_by_category(instances: list[Instance]) -> dict[str, int]:
    """Return the number of instances of each category, in order of appearance."""
    return dict(Counter(one.thing.category for one in instances))
