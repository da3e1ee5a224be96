"""Convolutions with batch normalisation, as eyes and decoders use them."""

from torch import Tensor, nn
from torch.nn import functional

EPSILON, MOMENTUM = 1e-3, 0.03


class Convolution(nn.Module):
    """A convolution without bias, batch normalisation, and ReLU6 unless it is linear.

    The padding is that of TensorFlow ("SAME"), with which EfficientNet-Lite was trained: with a stride of 2, one pixel
    more at the right and at the bottom.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: Sides of the kernel.
        stride: 1 or 2.
        groups: Groups of channels; ``inputs`` for a depthwise convolution.
        linear: Whether to leave out ReLU6.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        before, after = (kernel - stride) // 2, kernel - stride - (kernel - stride) // 2
        self.uneven = (before, after, before, after) if before != after else None
        padding = 0 if self.uneven else before
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, EPSILON, MOMENTUM)
        self.linear = linear

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride) of (B, inputs, H, W)."""
        if self.uneven:
            pixels = functional.pad(pixels, self.uneven)
        found: Tensor = self.norm(self.conv(pixels))
        return found if self.linear else functional.relu6(found)


class Separable(nn.Sequential):
    """A depthwise convolution of 5 x 5 and one of 1 x 1.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        stride: 1 or 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(Convolution(inputs, inputs, 5, stride, inputs, linear=True), Convolution(inputs, outputs))
