"""Lines of label files, and `data.yaml`."""

import numpy as np
import yaml

from common import yolo

SIZE = (120, 333)


def test_boxes_stay_within_the_picture_in_single_precision() -> None:
    for corners in ([0, 0, 333, 120], [332.9, 119.9, 333, 120], [0, 0, 1e-9, 1e-9], [10.3, 20.7, 11.1, 90.2]):
        x, y, width, height = (np.float32(value) for value in yolo.box(corners, SIZE))
        assert width > 0 and height > 0
        for middle, side in ((x, width), (y, height)):
            assert middle - side / 2 >= 0 and middle + side / 2 <= 1


def test_keypoints_outside_the_picture_are_not_labelled() -> None:
    assert yolo.keypoints([(333, 0, 2), (-1, 5, 2), (5, 121, 1), (3, 3, 0)], SIZE) == [1, 0, 2, *[0] * 9]
    assert yolo.keypoints([(33.3, 60, 1)], SIZE) == [0.1, 0.5, 1]


def test_lines_are_short_and_exact_to_seven_places() -> None:
    points = np.array([[0, 0], [333, 0], [111, 60], [400, -3]])
    assert yolo.line(4, yolo.polygon(points, SIZE)) == "4 0 0 1 0 0.3333333 0.5 1 0"


def test_labels_are_read_as_they_are() -> None:
    labels = ["no", 'the "red": thing', "café", "3", "a\x7f\x85\n", "\ufffe #1", "😀", "", " a: b", "x" * 2000]
    for some in (labels, labels[:4]):
        facts = yaml.safe_load(yolo.data_yaml(some, pose=True))
        assert facts["names"] == dict(enumerate(some)) and facts["nc"] == len(some)
        assert facts["kpt_shape"] == [17, 3] and sorted(facts["flip_idx"]) == list(range(17))
    assert "café" in yolo.data_yaml(labels[:4])
