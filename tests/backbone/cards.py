"""Cards of tools that do not exist."""

from collections.abc import Sequence
from typing import Any

from common.card import Card


def card(
    name: str,
    gives: str = "Number",
    needs: Sequence[str] = (),
    above: Sequence[str] = (),
    params: dict[str, Any] | None = None,
    required: Sequence[str] = (),
    one_of: Sequence[str] = (),
    follows: str = "",
) -> Card:
    """A card that gives a value of one kind.

    Args:
        name: Name of the tool.
        gives: Kind of its result.
        needs: Kinds of its required inputs; each is named by its kind.
        above: Kinds of its optional inputs.
        params: JSON schemas of its parameters, by name.
        required: Names of the parameters that have no default.
        one_of: Names of which at least one must be given.
        follows: Name of the input whose kind the result has.
    """
    inputs = {
        kind.lower(): {"kinds": [kind], "many": False, "optional": kind in above, "literal": False}
        for kind in (*needs, *above)
    }
    return {
        "name": name,
        "doc": "Do it.",
        "inputs": inputs,
        "params": params or {},
        "required": list(required),
        "one_of": list(one_of),
        "returns": {"kind": gives, "many": False, **({"follows": follows} if follows else {})},
        "examples": [],
    }
