"""Light over the whole picture and a little noise, in whole numbers, so that it is the same everywhere."""

import numpy as np

from backbone.world.scene.scene import Scene

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
LIGHT = {"day": (256, 256, 256), "evening": (262, 238, 212), "overcast": (238, 242, 248), "night": (200, 208, 236)}
"""What light does to red, green and blue, in parts of 256."""


def expose(pixels: Pixels, scene: Scene) -> Pixels:
    """The picture as a camera would give it.

    Args:
        pixels: height × width × 3, uint8.
        scene: its light, noise and seed.
    """
    grade = np.array(LIGHT[scene.light], np.int32)
    light = pixels.astype(np.int32) * grade // 256
    if scene.noise:
        rng = np.random.PCG64(scene.seed & 0xFFFFFFFF)
        words = rng.random_raw((light.size + 3) // 4)
        # Four sums of two bytes out of each word: a triangle-shaped noise, exact on every machine.
        parts = words.view(np.uint8).astype(np.int32).reshape(-1, 8)
        noise = (parts[:, :4] + parts[:, 4:] - 255).reshape(-1)[: light.size].reshape(light.shape)
        light += noise * round(scene.noise * 64) // (104 * 64)
    out: Pixels = np.clip(light, 0, 255).astype(np.uint8)
    return out
