"""Scenes rendered, with their masks, boxes and joints."""
