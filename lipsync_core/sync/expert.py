"""A net that hears speech and sees lips, and puts what belongs together close together.

The idea is SyncNet's (Chung and Zisserman, "Out of time: automated lip sync in the wild", 2016):
two branches embed a moment of speech and a moment of lip movement into one space, trained so that
the true moment is nearer than any other of the clip. Ours differs in what goes in (Whisper features
in place of MFCC; lip landmarks without head pose, or grey pictures of the mouth) and in the loss:
whole windows are told from windows at other offsets, which is what it is used for.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..checkpoint import Model
from ..landmarks import LIPS
from ..operations import Operations

LOCAL_STEPS = 37
"""To each side: the mean lip shape over so many steps is taken out before lips are judged, and
with it the neutral, slow head movement and the face's own shape."""
PICTURE_HEIGHT, PICTURE_WIDTH = 40, 56
"""Of the grey mouth pictures of an expert that sees pixels."""
LANDMARKS, PIXELS = "landmarks", "pixels"


@dataclass(frozen=True)
class SyncExpertConfig:
    """What an expert sees, and its sizes."""

    encoder: str
    """Id of the speech encoder it listens with."""
    sees: str = LANDMARKS
    """"landmarks" or "pixels"."""
    speech_width: int = 768
    width: int = 160
    embedding: int = 96
    dilations: tuple[int, ...] = (1, 2, 4)
    dropout: float = 0.15


class SyncExpert(Model):
    """Embeds lips and speech at 25 Hz; the cosine of two embeddings tells how well they agree."""

    config_class = SyncExpertConfig
    speech_mean: Tensor
    speech_scale: Tensor
    lip_scale: Tensor

    def __init__(self, config: SyncExpertConfig, operations: Operations = nn):
        super().__init__(config)
        self.register_buffer("speech_mean", torch.zeros(config.speech_width))
        self.register_buffer("speech_scale", torch.ones(config.speech_width))
        self.register_buffer("lip_scale", torch.ones(1 if config.sees == PIXELS else 3 * len(LIPS)))
        lip_width = config.width if config.sees == PIXELS else 3 * len(LIPS)
        self.look = (
            _PictureEncoder(config.width, operations) if config.sees == PIXELS else nn.Identity()
        )
        self.lips = _TimeNet(lip_width, config, operations)
        self.speech = _TimeNet(config.speech_width, config, operations)
        self.log_sharpness = nn.Parameter(torch.tensor(2.0))

    def embed_lips(
        self, lips: Float[Tensor, "b t 40 3"] | Float[Tensor, "b t h w"], valid: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t e"]:
        """Unit vectors. Landmarks are in eye distances in the canonical face, pictures in [0, 1]
        of PICTURE_HEIGHT x PICTURE_WIDTH; steps that are not valid are hidden."""
        flat = rearrange(lips.float(), "b t i j -> b t (i j)")
        x = (flat - local_mean(flat, valid)) / self.lip_scale * valid[..., None]
        if self.config.sees == PIXELS:
            pictures = rearrange(x, "b t (h w) -> (b t) 1 h w", h=PICTURE_HEIGHT)
            x = rearrange(self.look(pictures), "(b t) c -> b t c", b=len(lips)) * valid[..., None]
        return self.lips(x)

    def embed_speech(self, speech: Float[Tensor, "b t d"]) -> Float[Tensor, "b t e"]:
        """Unit vectors of speech features."""
        return self.speech((speech.float() - self.speech_mean) / self.speech_scale)

    def forward(
        self,
        lips: Float[Tensor, "b t 40 3"] | Float[Tensor, "b t h w"],
        speech: Float[Tensor, "b t d"],
        valid: Bool[Tensor, "b t"],
    ) -> tuple[Float[Tensor, "b t e"], Float[Tensor, "b t e"], Float[Tensor, ""]]:
        """Both embeddings, and how sharply cosines are turned into chances."""
        return self.embed_lips(lips, valid), self.embed_speech(speech), self.log_sharpness.exp()


def local_mean(x: Float[Tensor, "b t f"], valid: Bool[Tensor, "b t"]) -> Float[Tensor, "b t f"]:
    """The mean over the valid steps within LOCAL_STEPS to each side."""
    known = valid[..., None].to(x)
    total = nn.functional.pad((x * known).cumsum(dim=1), (0, 0, 1, 0))
    count = nn.functional.pad(known.cumsum(dim=1), (0, 0, 1, 0))
    step = torch.arange(x.shape[1], device=x.device)
    low, high = (step - LOCAL_STEPS).clamp_min(0), (step + LOCAL_STEPS + 1).clamp_max(len(step))
    return (total[:, high] - total[:, low]) / (count[:, high] - count[:, low]).clamp_min(1)


class _TimeNet(nn.Module):
    """Convolutions over time with a residual path; the same for lips and for speech."""

    def __init__(self, inputs: int, config: SyncExpertConfig, operations: Operations):
        super().__init__()
        width = config.width
        self.into = nn.Sequential(
            operations.Linear(inputs, width),
            nn.GELU(),
            nn.Dropout1d(config.dropout),
            operations.Linear(width, width),
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                operations.GroupNorm(1, width),
                operations.Conv1d(width, width, 5, padding="same", dilation=dilation),
                nn.GELU(),
                operations.Conv1d(width, width, 1),
            )
            for dilation in config.dilations
        )
        self.out = nn.Sequential(
            operations.LayerNorm(width), operations.Linear(width, config.embedding)
        )

    def forward(self, x: Float[Tensor, "b t i"]) -> Float[Tensor, "b t e"]:
        x = self.into(x).transpose(1, 2)
        for block in self.blocks:
            x = x + block(x)
        return nn.functional.normalize(self.out(x.transpose(1, 2)).float(), dim=-1)


class _PictureEncoder(nn.Module):
    """A small convolutional net over single mouth pictures."""

    def __init__(self, width: int, operations: Operations):
        super().__init__()
        channels = (1, 16, 32, 64)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            layers += [operations.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GELU()]
            layers += [operations.GroupNorm(1, outputs)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), operations.Linear(64 * 5 * 7, width))

    def forward(self, pictures: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n c"]:
        return self.layers(pictures)
