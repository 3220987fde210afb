"""How far a picture is from the one it should be, in pixels, edges, contrast and tones."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class ReconstructionWeights:
    """What the terms weigh, next to the pixels' own error at 1."""

    gradient: float = 0.5
    """Of the difference of neighbouring pixels, at two scales."""
    contrast: float = 0.25
    """Of the difference of local standard deviations: what blur lowers even where it is in doubt
    which way an edge runs."""
    tones: float = 0.0
    """Of the mean error of 8 x 8 pixels: all that counts where details come from elsewhere."""


def reconstruction_loss(
    images: Float[Tensor, "b 3 h w"],
    target: Float[Tensor, "b 3 h w"],
    weights: Float[Tensor, "b 1 h w"],
    terms: ReconstructionWeights,
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Charbonnier, gradient, contrast and tone errors of images in [-1, 1]: the sum, and each."""
    error = images - target
    pixel = (_charbonnier(error) * weights).mean()
    coarse = functional.avg_pool2d(error, 2)
    gradient = _gradient(error, weights) + 2 * _gradient(coarse, weights[..., ::2, ::2])
    difference = _local_deviation(images) - _local_deviation(target)
    contrast = (difference.abs() * functional.avg_pool2d(weights, 5, stride=2)).mean()
    area, stands = functional.avg_pool2d(error, 8, 4), functional.avg_pool2d(weights, 8, 4)
    tones = (_charbonnier(area) * stands).mean()
    loss = pixel + terms.gradient * gradient + terms.contrast * contrast + terms.tones * tones
    figures = {"pixel": pixel.item(), "gradient_error": gradient.item()}
    return loss, figures | {"contrast": contrast.item(), "tones": tones.item()}


def _charbonnier(x: Tensor) -> Tensor:
    return torch.sqrt(x.square() + 1e-4)


def _gradient(error: Tensor, weights: Tensor) -> Tensor:
    horizontal = _charbonnier(error[..., 1:] - error[..., :-1]) * weights[..., 1:]
    vertical = _charbonnier(error[..., 1:, :] - error[..., :-1, :]) * weights[..., 1:, :]
    return horizontal.mean() + vertical.mean()


def _local_deviation(images: Tensor) -> Tensor:
    """The standard deviation of brightness in 5 x 5 windows."""
    grey = images.mean(1, keepdim=True)
    mean, square = (functional.avg_pool2d(x, 5, stride=2) for x in (grey, grey.square()))
    return (square - mean.square()).clamp_min(0).add(1e-4).sqrt()
