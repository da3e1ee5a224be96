"""Questions about a picture, with answers from its annotations."""

from dataclasses import dataclass

from backbone.world.paint.categories import CATEGORIES
from backbone.world.scene.splits import rng_for
from backbone.world.truth.relations import all_noticeable, noticeable, relation
from backbone.world.truth.render import Rendered
from backbone.world.words.wording import count_by_category, noun


@dataclass(frozen=True)
class Question:
    """A question, its answer, and its kind: count, colour, relation, exist, compare, read or pose."""

    kind: str
    question: str
    answer: str


def questions(picture: Rendered) -> list[Question]:
    """Return all questions with a certain answer; none on things that are mostly hidden."""
    scene, seen = picture.scene, noticeable(picture)
    rng = rng_for(scene.split, scene.seed, "questions")
    counts, fair = count_by_category(seen), all_noticeable(picture)
    found: list[Question] = []
    if fair:
        for name, count in counts.items():
            found.append(Question("count", f"How many {CATEGORIES[name].plural} are there?", str(count)))
        missing = rng.sample([name for name in CATEGORIES if name not in counts], 2)
        for name in missing:
            found.append(Question("exist", f"Can you see any {CATEGORIES[name].plural}?", "no"))
        names = list(counts)
        for first, second in zip(names, names[1:], strict=False):
            answer = (
                "the same" if counts[first] == counts[second] else (first if counts[first] > counts[second] else second)
            )
            answer = answer if answer == "the same" else CATEGORIES[answer].plural
            found.append(
                Question(
                    "compare", f"Are there more {CATEGORIES[first].plural} or more {CATEGORIES[second].plural}?", answer
                )
            )
    for name in counts:
        found.append(Question("exist", f"Can you see any {CATEGORIES[name].plural}?", "yes"))
    single = [one for one in seen if sum(i.thing.category == one.thing.category for i in picture.instances) == 1]
    for one in single:
        name = one.thing.category
        if name == "person" and one.thing.pose:
            found.append(Question("pose", "What is the person doing?", one.thing.pose.name))
        elif name not in ("pizza", "person"):
            found.append(Question("colour", f"What colour is the {name}?", one.thing.colour))
        if one.thing.text and one.visible > 0.95 and not one.truncated:
            found.append(Question("read", "What does the sign say?", one.thing.text))
    for i, one in enumerate(single):
        for other in single[i + 1 :]:
            how = relation(scene, one, other)
            if how:
                found.append(
                    Question(
                        "relation", f"Where is the {one.thing.category} from the {other.thing.category}?", f"{how} it"
                    )
                )
    rng.shuffle(found)
    return found


def referring(picture: Rendered) -> list[tuple[str, int]]:
    """Return expressions that refer to exactly one thing, with its index in the instances."""
    seen, found = noticeable(picture), []
    for index, one in enumerate(picture.instances):
        if one not in seen:
            continue
        alike = [other for other in picture.instances if other.thing.category == one.thing.category]
        same = [other for other in alike if noun(other.thing) == noun(one.thing)]
        if len(alike) == 1:
            found.append((f"the {one.thing.category}", index))
        if len(same) == 1:
            found.append((f"the {noun(one.thing)}", index))
        elif len(alike) > 1:
            middles = sorted((other.box[0] + other.box[2]) / 2 for other in alike)
            mine, gap = (one.box[0] + one.box[2]) / 2, 0.05 * one.mask.shape[1]
            if mine == middles[0] and middles[1] - middles[0] > gap:
                found.append((f"the leftmost {one.thing.category}", index))
            if mine == middles[-1] and middles[-1] - middles[-2] > gap:
                found.append((f"the rightmost {one.thing.category}", index))
    return found


def region_prompts(picture: Rendered) -> list[tuple[tuple[int, int, int, int], str]]:
    """Return the boxes of noticeable things, and what is in them."""
    return [(one.box, noun(one.thing)) for one in noticeable(picture)]
