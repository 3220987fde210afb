"""A critic of small patches: what tells drawn mouths from filmed ones, so that blur does not pay.

Errors of pixels are least for the mean of all mouths that could be, which is blurred. The critic
sees nothing but pictures of mouths (a "PatchGAN": Isola et al. 2017, arXiv 1611.07004, section
3.2.2) and learns by the hinge loss (Lim and Ye 2017, arXiv 1705.02894). Its weight follows the
other errors' gradient, as in Esser et al. 2021 (arXiv 2012.09841, equation 7), so that it neither
drowns them nor goes unheard.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import Conv2d, GroupNorm, functional

_LARGEST_WEIGHT = 10.0


class PatchCritic(nn.Module):
    """Scores of overlapping patches of 22 pixels, higher for what looks filmed."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            Conv2d(width, 2 * width, 4, stride=2, padding=1),
            GroupNorm(8, 2 * width),
            nn.LeakyReLU(0.2),
            Conv2d(2 * width, 4 * width, 3, padding=1),
            GroupNorm(8, 4 * width),
            nn.LeakyReLU(0.2),
            Conv2d(4 * width, 1, 3, padding=1),
        )

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 y x"]:
        """Of images in [-1, 1]; both sides multiples of 4."""
        return self.layers(images).float()


def critic_loss(
    critic: PatchCritic, drawn: Float[Tensor, "b 3 h w"], filmed: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, ""]:
    """What the critic descends; nothing of it reaches what made `drawn`."""
    return (
        functional.relu(1 - critic(filmed)).mean()
        + functional.relu(1 + critic(drawn.detach())).mean()
    )


def critical_error(critic: PatchCritic, drawn: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """How unlike filmed mouths `drawn` are; nothing of it reaches the critic."""
    fixed = {name: p.detach() for name, p in critic.named_parameters()}
    return -functional_call(critic, fixed, (drawn,)).mean()


def balanced_weight(
    other: Float[Tensor, ""], critical: Float[Tensor, ""], drawn: Tensor
) -> Float[Tensor, ""]:
    """What `critical` weighs so that its gradient at `drawn` is as long as that of `other`."""
    lengths = [torch.autograd.grad(loss, drawn, retain_graph=True)[0] for loss in (other, critical)]
    return (lengths[0].norm() / (lengths[1].norm() + 1e-6)).clamp(max=_LARGEST_WEIGHT).detach()
