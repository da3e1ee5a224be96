"""The public API: what programs and tools files import from superlink.

    from superlink import Detections, Image, tool

Names are loaded when they are first used, so that `import superlink` stays fast.
"""

from typing import TYPE_CHECKING

from superlink.packages import foreign_packages, prefer_own

if TYPE_CHECKING:
    from agents.plan.plan import Plan as Plan
    from agents.planners.backbone import BackbonePlanner as BackbonePlanner
    from agents.session.policy import Policy as Policy
    from agents.session.session import Session as Session
    from flows.annotate import annotate as annotate
    from flows.batch.summary import Summary as Summary
    from tools.core.errors import SuperlinkError as SuperlinkError
    from tools.core.progress import track as progress  # noqa: F401 -- `track` is a tool
    from tools.core.settings import settings as settings
    from tools.runtime.model_cache import resident as resident
    from tools.runtime.parts import kept as kept
    from tools.runtime.registry import load as load_tools  # noqa: F401 -- under a name that says what is loaded
    from tools.runtime.tool import Batch as Batch
    from tools.runtime.tool import Suggested as Suggested
    from tools.runtime.tool import tool as tool
    from tools.storage.store import Store as Store
    from tools.values import Audio as Audio
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
    from tools.weights.needs import weights_of as weights_of

prefer_own()
if _foreign := foreign_packages():
    raise ImportError("\n".join(_foreign))

from common.lazy import lazy_names  # noqa: E402  # found by `prefer_own`

__all__, __getattr__, __dir__ = lazy_names(__name__, __file__)
