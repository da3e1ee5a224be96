"""The world: symbolic scenes, rendered, with exact truth about everything in them."""

from backbone.world.compose import compose
from backbone.world.render import Instance, Rendered, render
from backbone.world.scene import Scene, Thing

__all__ = ["Instance", "Rendered", "Scene", "Thing", "compose", "render"]
