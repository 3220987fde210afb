"""What every speech encoder hears and gives: windows of 10 s, features at 25 Hz."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

SAMPLE_RATE = 16_000
WINDOW_SECONDS = 10
"""The encoder always hears windows of this length, so a step's position in them is bounded."""
STEPS_PER_WINDOW = WINDOW_SECONDS * 25


class SpeechEncoder(nn.Module, ABC):
    """A pretrained network that hears speech; it is not trained here."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.requires_grad_(False)

    @property
    @abstractmethod
    def id(self) -> str:
        """Names what makes the features: features of two ids never meet."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Features per step."""

    @property
    def device(self) -> torch.device:
        """Where it hears."""
        return next(self.network.parameters()).device

    @abstractmethod
    def forward(self, windows: Float[Tensor, "b n"]) -> Float[Tensor, "b t d"]:
        """Features at 25 Hz of windows of WINDOW_SECONDS of sound at SAMPLE_RATE."""
