"""Captions, questions, specifications and edits of scenes, in words."""
