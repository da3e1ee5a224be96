"""Lowest score of the detections that are kept, if the caller gives none."""

from tools.core.settings import settings
from tools.weights import weights


def usual_score(role: str, default: float) -> float:
    """Return what the catalogue says of the role's weights, or else the engine's default."""
    own = weights.find(settings().role(role)).score
    return default if own is None else own
