"""Synthetic pictures: scenes are composed from a seed as plain data and rendered, with exact annotations."""

from backbone.world.scene.compose import compose
from backbone.world.scene.scene import Scene, Thing
from backbone.world.truth.render import Instance, Rendered, render

__all__ = ["Instance", "Rendered", "Scene", "Thing", "compose", "render"]
