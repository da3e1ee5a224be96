"""A single number."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tools.core.errors import ValueInvalid
from tools.values.base import StructuredValue, ValueSummary


@dataclass(frozen=True, eq=False)
class Number(StructuredValue):
    """A finite number with an optional unit."""

    value: float
    unit: str | None = None
    kind: ClassVar[str] = "Number"

    def __post_init__(self) -> None:
        """Refuse NaN, infinity and things that only look like numbers."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise ValueInvalid(f"Number needs an int or a float, not {type(self.value).__name__}")
        if not math.isfinite(self.value):
            raise ValueInvalid(f"Number must be finite, not {self.value}")
        if self.unit is not None and not isinstance(self.unit, str):
            raise ValueInvalid(f"The unit must be a str or None, not {type(self.unit).__name__}")

    @property
    def text(self) -> str:
        """The number as people write it, with its unit."""
        digits = str(self.value) if isinstance(self.value, int) else f"{self.value:g}"
        return f"{digits} {self.unit}" if self.unit else digits

    def to_json(self) -> dict[str, object]:
        """Return value and unit."""
        return {"value": self.value, "unit": self.unit}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Make the value of the object that `to_json` returned."""
        return cls(fields["value"], fields.get("unit"))

    def summary(self) -> ValueSummary:
        """Return value and unit."""
        return {"value": self.value, "unit": self.unit}

    def __str__(self) -> str:
        """Return the number and its unit."""
        return self.text
