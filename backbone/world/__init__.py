"""The world: symbolic scenes, rendered, with exact truth about everything in them."""

from backbone.world.scene.compose import compose
from backbone.world.scene.scene import Scene, Thing
from backbone.world.truth.render import Instance, Rendered, render

__all__ = ["Instance", "Rendered", "Scene", "Thing", "compose", "render"]
