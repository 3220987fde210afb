"""From noise to a latent in a few steps along a straight flow.

The flow is x_t = (1 - t) x_0 + t noise (rectified flow, Liu et al. 2022, arXiv 2209.03003); the
schedule and its Euler steps are diffusers'.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x_t "b ...", t "b") -> the expected x_0 "b ..."."""


def shared_noise(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    """One unit Gaussian, drawn on the CPU so that no device changes it; every frame of a clip
    starts from it, so that neighbours agree and chunks do not matter."""
    return torch.randn(shape, generator=generator)


def sample(denoise: Denoise, noise: Float[Tensor, "b ..."], steps: int) -> Float[Tensor, "b ..."]:
    """x_0 from `noise` at t = 1 in `steps` equal Euler steps; one step is `denoise` itself."""
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
        FlowMatchEulerDiscreteScheduler,
    )

    if steps < 1:
        raise ValueError(f"steps is {steps}: at least 1 is needed")
    # Its attributes are set by `set_timesteps`, which its type hints do not know.
    scheduler: Any = FlowMatchEulerDiscreteScheduler()
    # A plain list, since the scheduler turns it into an array of its own.
    scheduler.set_timesteps(sigmas=[1 - step / steps for step in range(steps)])
    x = noise
    for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
        clean = denoise(x, sigma.to(x).expand(len(x)))
        velocity = (x - clean) / sigma
        x = scheduler.step(velocity, timestep, x, return_dict=False)[0]
    return x
