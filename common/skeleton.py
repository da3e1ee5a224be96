"""The skeleton of COCO's person: seventeen keypoints, the lines between them, and their mirror images."""

KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""Names of the keypoints, in COCO's order. Left and right are those of the person."""

EDGES = (
    (15, 13),
    (13, 11),
    (16, 14),
    (14, 12),
    (11, 12),
    (5, 11),
    (6, 12),
    (5, 6),
    (5, 7),
    (6, 8),
    (7, 9),
    (8, 10),
    (1, 2),
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
)
"""Pairs of keypoints that COCO joins by a line, as indices from 0."""


def mirrored(name: str) -> str:
    """Return the keypoint that takes the place of this one in a mirrored picture: "left_eye" for "right_eye"."""
    side, _, part = name.partition("_")
    return f"{ {'left': 'right', 'right': 'left'}[side] }_{part}" if part else name


FLIP = tuple(KEYPOINTS.index(mirrored(name)) for name in KEYPOINTS)
"""For each keypoint, the index of its mirror image."""


def coco_category() -> dict[str, list[str] | list[list[int]]]:
    """Return what COCO adds to the category "person": names of the keypoints, and edges as indices from 1."""
    return {"keypoints": list(KEYPOINTS), "skeleton": [[a + 1, b + 1] for a, b in EDGES]}
