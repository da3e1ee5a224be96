"""Applies light and camera noise to a picture, in integers, so that every machine gives the same bytes."""

import numpy as np

from backbone.world.scene.scene import Scene

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
LIGHT = {"day": (256, 256, 256), "evening": (262, 238, 212), "overcast": (238, 242, 248), "night": (200, 208, 236)}
"""Factors of red, green and blue for each light, in 256ths."""


def expose(pixels: Pixels, scene: Scene) -> Pixels:
    """Return the picture with the scene's light and camera noise.

    Args:
        pixels: (H, W, 3), uint8.
        scene: Gives light, noise and seed.
    """
    grade = np.array(LIGHT[scene.light], np.int32)
    light = pixels.astype(np.int32) * grade // 256
    if scene.noise:
        rng = np.random.PCG64(scene.seed & 0xFFFFFFFF)
        words = rng.random_raw((light.size + 3) // 4)
        # Four sums of two bytes from each word: noise with a triangular distribution, the same on every machine.
        parts = words.view(np.uint8).astype(np.int32).reshape(-1, 8)
        noise = (parts[:, :4] + parts[:, 4:] - 255).reshape(-1)[: light.size].reshape(light.shape)
        light += noise * round(scene.noise * 64) // (104 * 64)
    out: Pixels = np.clip(light, 0, 255).astype(np.uint8)
    return out
