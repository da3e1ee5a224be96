"""Rendering scenes, with masks, boxes and keypoints."""
