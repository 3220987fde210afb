"""The sampler reaches known distributions; motion windows hold the right moments at any rate."""

from itertools import pairwise

import pytest
import torch

from lipsync_core.render.motion_windows import motion_windows
from lipsync_core.render.sampling import sample, shared_noise

MEAN, DEVIATION = 1.5, 0.6


def gaussian_denoiser(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """E[x_0 | x_t] for x_0 ~ N(MEAN, DEVIATION^2), in closed form."""
    t = time[:, None]
    variance = ((1 - t) * DEVIATION) ** 2 + t**2
    return MEAN + (1 - t) * DEVIATION**2 / variance * (x - (1 - t) * MEAN)


def test_one_step_is_the_denoiser_itself():
    noise = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    sampled = sample(gaussian_denoiser, noise, 1)
    assert torch.allclose(sampled, gaussian_denoiser(noise, torch.ones(5)), atol=1e-6)


def test_more_steps_come_closer_to_the_exact_flow():
    # The flow of a Gaussian maps noise to MEAN + DEVIATION * noise.
    noise = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)).double()
    exact = MEAN + DEVIATION * noise
    errors = [
        (sample(gaussian_denoiser, noise, steps) - exact).abs().mean().item()
        for steps in (4, 8, 16, 32)
    ]
    # Euler is of first order: twice the steps, half the error.
    assert all(after < 0.6 * before for before, after in pairwise(errors))
    assert errors[-1] < 0.03


def test_time_runs_from_one_towards_zero_in_equal_steps():
    times = []

    def denoise(x, time):
        times.append(time[0].item())
        return x

    sample(denoise, torch.zeros(2, 3), 4)
    assert times == pytest.approx([1, 0.75, 0.5, 0.25])


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps is 0"):
        sample(gaussian_denoiser, torch.zeros(1, 1), 0)


def test_noise_comes_from_the_seed_alone():
    first, again, other = (
        shared_noise((4, 6, 6), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.allclose(first, other)


@pytest.mark.parametrize("fps", [23.976, 25.0, 30.0, 60.0])
def test_a_window_holds_the_moments_around_its_frame(fps):
    # Motion whose value is its own time in seconds.
    coefficients = (torch.arange(100) / 25)[:, None]
    times = torch.arange(20).double() / fps + 1
    windows = motion_windows(coefficients, times, 9)[..., 0]
    wanted = times[:, None] + (torch.arange(9) - 4) / 25
    assert torch.allclose(windows.double(), wanted, atol=1e-5)


def test_the_ends_hold_beyond_the_motion():
    coefficients = torch.tensor([[1.0], [2.0], [3.0]])
    windows = motion_windows(coefficients, torch.tensor([-1.0, 0.0, 10.0]), 3)[..., 0]
    assert windows.tolist() == [[1, 1, 1], [1, 1, 2], [3, 3, 3]]


def test_a_single_step_of_motion_is_enough():
    assert motion_windows(torch.ones(1, 2), torch.tensor([0.0, 0.5]), 5).shape == (2, 5, 2)
