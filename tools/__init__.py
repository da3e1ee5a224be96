"""What can be done: values, tools and the weights behind them.

Names are loaded when first used, so that `import tools` stays light.
"""

from typing import TYPE_CHECKING

from common.lazy import lazy_names

if TYPE_CHECKING:
    from tools.core.errors import MediaError as MediaError
    from tools.core.errors import SuperlinkError as SuperlinkError
    from tools.core.errors import ToolError as ToolError
    from tools.core.errors import ValueInvalid as ValueInvalid
    from tools.core.errors import WeightsMissing as WeightsMissing
    from tools.core.settings import settings as settings
    from tools.runtime.model_cache import resident as resident
    from tools.runtime.tool import Batch as Batch
    from tools.runtime.tool import Tool as Tool
    from tools.runtime.tool import tool as tool
    from tools.storage.store import Ref as Ref
    from tools.storage.store import Store as Store
    from tools.values import VALUE_TYPES as VALUE_TYPES
    from tools.values import Audio as Audio
    from tools.values import Detection as Detection
    from tools.values import Detections as Detections
    from tools.values import Image as Image
    from tools.values import Number as Number
    from tools.values import Poses as Poses
    from tools.values import Segment as Segment
    from tools.values import Text as Text
    from tools.values import Transcript as Transcript
    from tools.values import Value as Value
    from tools.values import Video as Video
    from tools.values.convert import open_file as open_file

__all__, __getattr__, __dir__ = lazy_names(__name__, __file__)
