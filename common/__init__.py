"""What several packages share: the tool card, masks, the COCO skeleton, YOLO label files. Imports none of them."""
