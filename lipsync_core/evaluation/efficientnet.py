"""EfficientNet-Lite0 up to its 1280 pooled features, as published for mobile devices.

Tan and Le 2019 (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).
"""

from pathlib import Path

from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Conv2d, functional

from .network_file import read_state

SIZE = 224
"""Side in pixels of the pictures it was trained on."""
FEATURES = 1280
_STAGES = (
    # kernel, stride, expansion, outputs, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_MEAN, _SCALE = 127 / 255, 128 / 255


class _Convolution(nn.Sequential):
    """A convolution whose output is as large as its input divided by the stride, and its norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(
            Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
        )
        self.kernel, self.stride = kernel, stride

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d y x"]:
        pads = []
        for size in (input.shape[3], input.shape[2]):
            # TensorFlow's "same" padding: what is odd goes to the far side.
            total = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(input, pads))


class _Block(nn.Module):
    """Inverted residual: wider, filtered depth by depth, narrow again."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        self.expand = _Convolution(inputs, inner, 1) if expansion > 1 else None
        self.depthwise = _Convolution(inner, inner, kernel, stride, groups=inner)
        self.project = _Convolution(inner, outputs, 1)
        self.adds = inputs == outputs and stride == 1

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d y x"]:
        wide = x if self.expand is None else functional.relu6(self.expand(x))
        narrow = self.project(functional.relu6(self.depthwise(wide)))
        return x + narrow if self.adds else narrow


class EfficientNetLite0(nn.Module):
    """Pictures to features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, 32, 3, 2)
        blocks, inputs = [], 32
        for kernel, stride, expansion, outputs, count in _STAGES:
            for index in range(count):
                blocks.append(
                    _Block(inputs, outputs, kernel, stride if index == 0 else 1, expansion)
                )
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = _Convolution(inputs, FEATURES, 1)

    @classmethod
    def load(cls, path: Path) -> "EfficientNetLite0":
        """From the file of `weights.DISTRIBUTION_NETWORK`; ModelError when it is another file."""
        network = cls()
        names = {_published_name(name): name for name in network.state_dict()}
        read_state(path, network, names)
        return network.eval().requires_grad_(False)

    def forward(self, pictures: Float[Tensor, "t h w 3"]) -> Float[Tensor, "t 1280"]:
        """Of pictures in [0, 1]; any size is resized to SIZE x SIZE."""
        x = rearrange(pictures.float(), "t h w c -> t c h w")
        if x.shape[-2:] != (SIZE, SIZE):
            x = functional.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)
        x = functional.relu6(self.stem((x - _MEAN) / _SCALE))
        for block in self.blocks:
            x = block(x)
        return reduce(functional.relu6(self.head(x)), "t c h w -> t c", "mean")


def _published_name(name: str) -> str:
    """The file's name of a tensor of ours: `blocks.3.project.1.bias` is `_blocks.3._bn2.bias`."""
    unit, index, tensor = name.rsplit(".", 2)
    if unit in ("stem", "head"):
        layer = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}[unit]
        return f"{layer[int(index)]}.{tensor}"
    _, block, part = unit.split(".")
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    return f"_blocks.{block}.{(f'_{part}_conv', norm)[int(index)]}.{tensor}"
