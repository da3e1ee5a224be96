"""The tool card: the declaration of a tool as plain data, JSON-serialisable.

`Tool.card()` writes it; planners, the plan's checks and the command line read it.
"""

from typing import NotRequired, TypedDict


class ParameterSchema(TypedDict, total=False):
    """JSON schema of a plain parameter. Further keywords of JSON schema, such as "minimum", may be in it.

    Attributes:
        type: "string", "number", "integer", "boolean", "array", "object" or "null".
        description: The parameter's line in the docstring.
        default: Its default value; absent where that is None.
        enum: The only values allowed.
        const: The one value allowed.
        items: Schema of the items of an array.
        anyOf: Alternatives, of which the value has to match one.
    """

    type: str
    description: str
    default: object
    enum: "list[str | int]"
    const: str | int
    items: "ParameterSchema"
    anyOf: "list[ParameterSchema]"


class CardInput(TypedDict):
    """A parameter that takes a value, such as an image.

    Attributes:
        kinds: Kinds of value that it accepts, such as ["Image", "Video"].
        many: Whether it takes a list as a whole.
        optional: Whether it may be left out.
        literal: Whether the text itself can be given instead of a value; absent means no.
    """

    kinds: list[str]
    many: bool
    optional: bool
    literal: NotRequired[bool]


class CardReturns(TypedDict):
    """What a tool returns for one item.

    Attributes:
        kind: Kind of the value; the first possible one where it follows an input.
        many: Whether it is a list of such values.
        follows: Name of the input whose kind the result has; absent where the kind is fixed.
    """

    kind: str
    many: bool
    follows: NotRequired[str]


class Card(TypedDict):
    """The declaration of a tool.

    Attributes:
        name: Name of the tool.
        doc: First line of its docstring.
        inputs: Parameters that take values, by name.
        params: JSON schemas of the plain parameters, by name.
        required: Names of the plain parameters that have no default.
        one_of: Names of parameters of which at least one has to be given.
        returns: What it returns.
        examples: Requests in words for this tool.
        read_only: Whether it makes no picture, sound or video, so that approval may be skipped; absent where unknown.
    """

    name: str
    doc: str
    inputs: dict[str, CardInput]
    params: dict[str, ParameterSchema]
    required: list[str]
    one_of: list[str]
    returns: CardReturns
    examples: list[str]
    read_only: NotRequired[bool]
