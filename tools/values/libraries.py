"""Other libraries' results that values are made of: ultralytics and supervision."""

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from tools.core.errors import ToolError

if TYPE_CHECKING:
    from torch import Tensor


class UltralyticsBoxes(Protocol):
    """`ultralytics.engine.results.Boxes`: `xyxy` (N, 4), `conf` (N,), `cls` (N,), and `id` (N,) or None."""

    xyxy: "Tensor"
    conf: "Tensor"
    cls: "Tensor"
    id: "Tensor | None"

    def __len__(self) -> int:
        """Return the number of boxes."""


class UltralyticsData(Protocol):
    """Masks (N, h, w) or keypoints (N, 17, 3) of ultralytics."""

    data: "Tensor"


class UltralyticsResult(Protocol):
    """`ultralytics.engine.results.Results`: what a model found in one picture of `orig_shape` (height, width)."""

    orig_shape: tuple[int, int]
    names: Mapping[int, str]
    boxes: UltralyticsBoxes | None
    masks: UltralyticsData | None
    keypoints: UltralyticsData | None

    def __len__(self) -> int:
        """Return the number of detections."""

    def __getitem__(self, index: int) -> "UltralyticsResult":
        """Return the result with this detection alone."""


def import_supervision() -> ModuleType:
    """Import supervision.

    Raises:
        ToolError: when it is not installed.
    """
    try:
        import supervision
    except ModuleNotFoundError as error:
        raise ToolError(
            f"The package {error.name} is not installed", "Run: pip install 'superlink[supervision]'"
        ) from error
    module: ModuleType = supervision
    return module
