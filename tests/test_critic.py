"""The critic learns what blur looks like, and its judgement reaches the drawing alone."""

import torch
from torch.nn import functional

from lipsync_core.training.critic import (
    PatchCritic,
    balanced_weight,
    critic_loss,
    critical_error,
)


def pictures(count: int, seed: int) -> torch.Tensor:
    """Random stripes, sharp."""
    generator = torch.Generator().manual_seed(seed)
    phase, turn = 6.28 * torch.rand(2, count, 1, 1, generator=generator)
    y, x = torch.meshgrid(*[torch.arange(32.0)] * 2, indexing="ij")
    wave = torch.sin(1.5 * (x * turn.cos() + y * turn.sin()) + phase)
    return wave[:, None].sign().expand(-1, 3, -1, -1)


def blurred(images: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(images, 3, 1, 1)


def test_it_learns_to_tell_blurred_pictures_from_sharp_ones():
    torch.manual_seed(0)
    critic = PatchCritic(8)
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3)
    for seed in range(60):
        optimizer.zero_grad()
        critic_loss(critic, blurred(pictures(8, seed)), pictures(8, seed + 1000)).backward()
        optimizer.step()
    unseen = pictures(16, 5000)
    assert critical_error(critic, blurred(unseen)) > critical_error(critic, unseen) + 0.5


def test_gradients_reach_only_whom_they_are_for():
    critic, drawn = PatchCritic(8), blurred(pictures(2, 0)).requires_grad_(True)
    critical_error(critic, drawn).backward()
    assert drawn.grad is not None and drawn.grad.abs().sum() > 0
    assert all(p.grad is None for p in critic.parameters())
    drawn.grad = None
    critic_loss(critic, drawn, pictures(2, 1)).backward()
    assert drawn.grad is None
    assert all(p.grad is not None for p in critic.parameters())


def test_the_weight_makes_both_gradients_alike():
    critic, drawn = PatchCritic(8), blurred(pictures(2, 0)).requires_grad_(True)
    other = 0.01 * (drawn - pictures(2, 3)).square().mean()
    critical = critical_error(critic, drawn)
    weight = balanced_weight(other, critical, drawn)
    lengths = [
        torch.autograd.grad(loss, drawn, retain_graph=True)[0].norm()
        for loss in (other, weight * critical)
    ]
    assert torch.isclose(*lengths, rtol=1e-2)
