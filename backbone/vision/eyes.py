"""The eyes: an encoder of pictures with features at strides 8, 16 and 32."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbone.vision.layers import Convolution, Separable
from backbone.vision.sizes import Sizes

STRIDES = (8, 16, 32)
"""Pixels between the cells of each feature level."""


class Features(NamedTuple):
    """What the eyes see in B pictures of S x S pixels.

    Attributes:
        levels: (B, neck width, S / 8, S / 8), then the same at strides 16 and 32.
        last: (B, C, S / 32, S / 32), the encoder's last features.
    """

    levels: tuple[Tensor, Tensor, Tensor]
    last: Tensor


class Block(nn.Module):
    """An inverted residual (Sandler et al. 2018), without squeeze and excitation as in EfficientNet-Lite.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: Sides of the depthwise kernel.
        stride: 1 or 2.
        expansion: Channels between, as a multiple of the input's.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        between = inputs * expansion
        self.expand = Convolution(inputs, between) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(between, between, kernel, stride, between)
        self.project = Convolution(between, outputs, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride) of (B, inputs, H, W)."""
        found: Tensor = self.project(self.depthwise(self.expand(pixels)))
        return found + pixels if self.residual else found


class Eyes(nn.Module):
    """EfficientNet-Lite with a neck that joins its levels from coarse to fine and back (Liu et al. 2018).

    The neck also reads the position of each cell, so that its features can be asked for things by their place.

    Args:
        config: The configuration.
    """

    def __init__(self, config: Sizes) -> None:
        super().__init__()
        self.stem = Convolution(3, config.eyes_stem, 3, 2)
        self.stages = nn.ModuleList()
        channels, stride, ends = config.eyes_stem, 2, {}
        for kernel, step, expansion, outputs, blocks in config.eyes_stages:
            stage = [Block(channels, outputs, kernel, step, expansion)]
            stage += [Block(outputs, outputs, kernel, 1, expansion) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))
            channels, stride = outputs, stride * step
            ends[stride] = (len(self.stages) - 1, channels)
        if stride != STRIDES[-1]:
            raise ValueError(f"eyes_stages end at stride {stride}; they have to end at {STRIDES[-1]}")
        self.ends = tuple(ends[step][0] for step in STRIDES)
        width = config.neck_width
        self.lateral = nn.ModuleList(Convolution(ends[step][1] + 2, width, linear=True) for step in STRIDES)
        self.down = nn.ModuleList(Separable(width, width) for _ in STRIDES[:-1])
        self.up = nn.ModuleList(Separable(width, width, 2) for _ in STRIDES[1:])
        self.last_channels = channels
        self.frozen: tuple[nn.Module, ...] = ()

    def freeze(self, stages: int) -> None:
        """Train neither the stem nor the first stages any more; they keep the statistics of their normalisation.

        Args:
            stages: Number of stages; 0 freezes nothing.
        """
        self.frozen = (self.stem, *self.stages[:stages]) if stages else ()
        for part in self.frozen:
            part.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Eyes":
        """Set the mode of all that is not frozen."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, pixels: Tensor) -> Features:
        """Return the features of pictures.

        Args:
            pixels: (B, 3, S, S), from -1 to 1, S a multiple of 32.
        """
        found, kept = self.stem(pixels), []
        for number, stage in enumerate(self.stages):
            found = stage(found)
            if number in self.ends:
                kept.append(found)
        fine, middle, coarse = (
            lateral(torch.cat([level, positions(level)], 1)) for lateral, level in zip(self.lateral, kept, strict=True)
        )
        middle = self.down[1](middle + functional.interpolate(coarse, scale_factor=2.0))
        fine = self.down[0](fine + functional.interpolate(middle, scale_factor=2.0))
        middle = middle + self.up[0](fine)
        coarse = coarse + self.up[1](middle)
        return Features((fine, middle, coarse), found)

    def load_imagenet(self, file: Path) -> None:
        """Take over the encoder's weights from EfficientNet-Lite0's, as its PyTorch port stores them.

        Args:
            file: The ``.pth`` file.

        Raises:
            ValueError: The file holds other tensors than this encoder has.
        """
        given = torch.load(file, map_location="cpu", weights_only=True)
        blocks = [block for block in self.stages.modules() if isinstance(block, Block)]
        pairs = {"_conv_stem": self.stem.conv, "_bn0": self.stem.norm}
        for number, block in enumerate(blocks):
            parts = ("depthwise", "project") if isinstance(block.expand, nn.Identity) else ("expand", *_PARTS[1:])
            for norm, part in enumerate(parts, 3 - len(parts)):
                layer = getattr(block, part)
                pairs[f"_blocks.{number}.{_THEIRS[part]}"] = layer.conv
                pairs[f"_blocks.{number}._bn{norm}"] = layer.norm
        state = {
            f"{theirs}.{name}": value for theirs, module in pairs.items() for name, value in module.state_dict().items()
        }
        different = [name for name, value in state.items() if name not in given or given[name].shape != value.shape]
        if different:
            raise ValueError(f"{file} holds no weights of this encoder: {', '.join(different[:3])} differ")
        for name, value in state.items():
            value.copy_(given[name])


_PARTS = ("expand", "depthwise", "project")
_THEIRS = {"expand": "_expand_conv", "depthwise": "_depthwise_conv", "project": "_project_conv"}


def positions(level: Tensor) -> Tensor:
    """Return x and y of each cell's centre, from -1 to 1, (B, 2, H, W), for features (B, C, H, W)."""
    rows, height, width = level.shape[0], level.shape[2], level.shape[3]
    y, x = ((2 * torch.arange(size, device=level.device, dtype=level.dtype) + 1) / size - 1 for size in (height, width))
    grid = torch.stack([x[None].expand(height, width), y[:, None].expand(height, width)])
    return grid[None].expand(rows, 2, height, width)
