"""Choice of an engine for each label."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tools.core.errors import ValueInvalid, WeightsMissing, WeightsUnsafe
from tools.core.settings import DEFAULT_ROLES, settings
from tools.engines import centerface, dispatch, labels, linked, open_vocabulary
from tools.engines.dispatch import Picture
from tools.values import Detections
from tools.weights.catalogue import find as find_weights
from tools.weights.needs import Need, with_needed


@dataclass(frozen=True)
class Finder:
    """An engine with its weights and the labels that it detects.

    Attributes:
        find: Takes RGB pixels (H, W, 3) of each picture and the lowest score; returns the detections in each.
        usual_score: The lowest score if the caller gives none.
        labels: The labels of its detections.
    """

    find: Callable[[Sequence[Picture], float], list[Detections]]
    usual_score: float
    labels: tuple[str, ...]


def finders(
    requested: Sequence[str], role: str, open_role: str, *, faces: bool = False, masks: bool = False
) -> list[Finder]:
    """Choose an engine for every label.

    Args:
        requested: Labels as people write them; none for everything that the weights of `role` have a name for, or
            those of `open_role` where the first are prompted with words.
        role: Role whose weights detect the classes that they know.
        open_role: Role whose weights detect all other labels; they are prompted with words, or know further classes.
            Weights of the first role that take any words leave none for them.
        faces: Whether faces are detected by a separate engine.
        masks: Whether the detections must have masks.

    Raises:
        ValueInvalid: when a label is empty, or there is none and the weights have no names of their own.
        WeightsMissing: when an engine's weights are missing; names the label and the command that fetches them.
    """
    if not requested:
        return [_everything(role, open_role, masks)]
    rest = labels.normalize(requested)
    chosen: list[Finder] = []
    if faces and (same := [label for label in rest if labels.is_face(label)]):
        with _naming_label(same[0]):
            centerface.check()
        chosen.append(
            Finder(
                lambda pictures, score: centerface.find(pictures, same[0], score), centerface.USUAL_SCORE, (same[0],)
            )
        )
        rest = [label for label in rest if label not in same]
    for one in (role, open_role):  # weights of the open role may have fixed classes, too
        if not rest:
            break
        with _naming_label(rest[0]):
            if dispatch.is_linked(one):
                chosen.append(_linked(one, rest, masks))
                return chosen
            known, rest = labels.choose(rest, dispatch.named_things(one).class_names(one, masks))
        if known:
            chosen.append(_fixed(one, known, masks))
    if rest:
        with _naming_label(rest[0]):
            words = open_vocabulary.embed(rest, open_role)
        chosen.append(
            Finder(
                lambda pictures, score: open_vocabulary.find(pictures, open_role, rest, words, score, masks),
                dispatch.usual_score(open_role),
                tuple(rest),
            )
        )
    return chosen


def needs(requested: object, role: str, open_role: str, *, faces: bool = False) -> Iterator[Need]:
    """Yield the weights that a search takes, by the names that the catalogue says they know; nothing is loaded.

    Args:
        requested: Labels as people write them, or an empty list; anything else needs nothing.
        role: As of `finders`.
        open_role: As of `finders`.
        faces: As of `finders`.
    """
    if requested == []:
        yield from dispatch.needs(role)
    rest = [label.strip() for label in requested if isinstance(label, str)] if isinstance(requested, list) else []
    if faces and (same := [label for label in rest if labels.is_face(label)]):
        yield from with_needed(settings().role("face"), same[0])
        rest = [label for label in rest if label not in same]
    for one in (role, open_role):
        if not rest:
            return
        names = find_weights(settings().role(one)).class_names
        known, unknown = (rest, []) if names is None else labels.choose(rest, dict(enumerate(names)))
        # The weights of the first role are asked for their names even where they know none of the labels.
        if known or one == role:
            yield from dispatch.needs(one, ", ".join(label for label in rest if label not in unknown))
        rest = unknown
    if rest:
        yield Need(DEFAULT_ROLES[open_role], ", ".join(rest), open_role)


def known_labels(role: str, open_role: str, *, faces: bool = False, masks: bool = False) -> list[str]:
    """Return the labels that the engines here know by name, in the order of their engines.

    Weights that are not on this computer know none, and words prompt the rest.

    Args:
        role: As of `finders`.
        open_role: As of `finders`.
        faces: As of `finders`.
        masks: As of `finders`.
    """
    found: list[str] = []
    if faces:
        with suppress(WeightsMissing):
            centerface.check()
            found.append(labels.FACE)
    for one in (role, open_role):
        with suppress(WeightsMissing):
            found += dispatch.named_things(one).class_names(one, masks).values()
    return list(dict.fromkeys(found))


def _everything(role: str, open_role: str, masks: bool) -> Finder:
    """Return the finder of all classes that weights have a name for."""
    names = dispatch.named_things(role).class_names(role, masks)
    if names:
        return _fixed(role, names, masks)
    with suppress(WeightsMissing):  # of the first role; that these are not here is no reason
        names = dispatch.named_things(open_role).class_names(open_role, masks)
    if not names:
        raise ValueInvalid(
            f"The weights {settings().role(role)} are prompted with words, and there is no label",
            f'Name what to find, such as ["dog"], or choose weights with names of their own for the role {role} in '
            "settings.toml",
        )
    return _fixed(open_role, names, masks)


def _linked(role: str, phrases: Sequence[str], masks: bool) -> Finder:
    asked = linked.read(phrases, role, masks)
    return Finder(
        lambda pictures, score: linked.find_phrases(pictures, role, asked, score, masks),
        dispatch.usual_score(role),
        tuple(asked),
    )


def _fixed(role: str, known: Mapping[int, str], masks: bool) -> Finder:
    return Finder(
        lambda pictures, score: dispatch.named_things(role).find(pictures, role, known, score, masks),
        dispatch.usual_score(role),
        tuple(dict.fromkeys(known.values())),
    )


def find(pictures: Sequence[Picture], chosen: Sequence[Finder], min_score: float | None) -> list[Detections]:
    """Return the detections of all engines in each picture."""
    columns = [each.find(pictures, each.usual_score if min_score is None else min_score) for each in chosen]
    return [Detections.concat(parts) for parts in zip(*columns, strict=True)]


@contextmanager
def _naming_label(label: str) -> Iterator[None]:
    """Add the label to errors about weights."""
    try:
        yield
    except (WeightsMissing, WeightsUnsafe) as error:
        raise type(error)(f"{label!r} cannot be looked for: {error.message}", error.hint) from error
