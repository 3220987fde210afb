"""How different two pictures look to a network: distance of AlexNet's features.

The network and its linear layers are those of shift-tolerant LPIPS (Ghildyal and Liu 2022, arXiv
2207.13686): AlexNet with stride-1 first convolution and blurred subsampling, which half a pixel of
shift does not upset. It is not LPIPS: figures of the two cannot be compared.
"""

from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Conv2d, functional

from .network_file import read_state

NAME = "perceptual distance (AlexNet)"
SMALLEST = 32
"""Pixels a side: below this the deepest features have no place."""
_CONVOLUTIONS = (
    # name in the file, inputs, outputs, kernel, padding
    ("net.slice1.0", 3, 64, 11, 2),
    ("net.slice2.5", 64, 192, 5, 2),
    ("net.slice3.9", 192, 384, 3, 1),
    ("net.slice4.11", 384, 256, 3, 1),
    ("net.slice5.13", 256, 256, 3, 1),
)


class PerceptualNetwork(nn.Module):
    """Weighted squared distance of unit-length feature vectors, mean over places, summed over five
    layers."""

    shift: Float[Tensor, "1 3 1 1"]
    scale: Float[Tensor, "1 3 1 1"]

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            Conv2d(inputs, outputs, kernel, padding=padding)
            for _, inputs, outputs, kernel, padding in _CONVOLUTIONS
        )
        self.weights = nn.ParameterList(
            torch.zeros(1, outputs, 1, 1) for _, _, outputs, _, _ in _CONVOLUTIONS
        )
        self.register_buffer("shift", torch.zeros(1, 3, 1, 1))
        self.register_buffer("scale", torch.ones(1, 3, 1, 1))

    @classmethod
    def load(cls, path: Path) -> "PerceptualNetwork":
        """From the file of `weights.PERCEPTUAL_NETWORK`; ModelError when it is another file."""
        names = {"scaling_layer.shift": "shift", "scaling_layer.scale": "scale"}
        for index, (name, *_) in enumerate(_CONVOLUTIONS):
            names |= {
                f"{name}.weight": f"convolutions.{index}.weight",
                f"{name}.bias": f"convolutions.{index}.bias",
                f"lin{index}.model.1.weight": f"weights.{index}",
            }
        network = cls()
        read_state(path, network, names)
        return network.eval().requires_grad_(False)

    def forward(
        self, ours: Float[Tensor, "t h w 3"], real: Float[Tensor, "t h w 3"]
    ) -> Float[Tensor, " t"]:
        """Distances of pictures in [0, 1], frame by frame; 0 for equal ones.

        ValueError below SMALLEST pixels a side.
        """
        if min(ours.shape[1:3]) < SMALLEST:
            raise ValueError(f"pictures of {tuple(ours.shape[1:3])}: {SMALLEST} pixels are needed")
        distance = ours.new_zeros(len(ours))
        for one, other, weight in zip(
            self._features(ours), self._features(real), self.weights, strict=True
        ):
            difference = functional.normalize(one, eps=1e-10) - functional.normalize(
                other, eps=1e-10
            )
            distance = distance + (difference.square() * weight).sum(1).mean((1, 2))
        return distance

    def _features(self, pictures: Float[Tensor, "t h w 3"]) -> list[Float[Tensor, "t c y x"]]:
        x = rearrange(pictures.float() * 2 - 1, "t h w c -> t c h w")
        first, second, third, fourth, fifth = self.convolutions
        features = [functional.relu(_halved(first((x - self.shift) / self.scale)))]
        for convolution in (second, third):
            pooled = _halved(functional.max_pool2d(features[-1], 3, 1))
            features.append(functional.relu(convolution(pooled)))
        for convolution in (fourth, fifth):
            features.append(functional.relu(convolution(features[-1])))
        return features


def _halved(x: Float[Tensor, "t c h w"]) -> Float[Tensor, "t c y x"]:
    """Blurred by (1 2 1) / 4 both ways before every other place is dropped."""
    taps = x.new_tensor((0.25, 0.5, 0.25))
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 3, 3)
    padded = functional.pad(x, (2, 2, 2, 2), mode="reflect")
    return functional.conv2d(padded, kernel, stride=2, groups=x.shape[1])
