"""COCO's skeleton."""

from common.skeleton import EDGES, FLIP, KEYPOINTS, coco_category, mirrored


def test_a_mirrored_left_is_a_right() -> None:
    assert mirrored("left_knee") == "right_knee" and mirrored("right_ear") == "left_ear" and mirrored("nose") == "nose"
    assert [FLIP[other] for other in FLIP] == list(range(17))
    assert [KEYPOINTS[other] for other in FLIP] == [mirrored(name) for name in KEYPOINTS]


def test_edges_join_keypoints_of_one_side_or_their_mirror_images() -> None:
    assert {tuple(sorted((FLIP[a], FLIP[b]))) for a, b in EDGES} == {tuple(sorted(edge)) for edge in EDGES}


def test_coco_counts_edges_from_one() -> None:
    fields = coco_category()
    assert fields["keypoints"][0] == "nose" and fields["skeleton"][0] == [16, 14]
