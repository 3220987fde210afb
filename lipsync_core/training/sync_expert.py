"""Teaching the sync expert: which moment of the lips belongs to which moment of the speech?

Two experts are trained, on differently drawn data and with different sizes: one judges, the other
may teach a predictor or renderer, so that no model is ever judged by its own teacher.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor, autocast, nn

from ..errors import TrainingError
from ..sync.expert import LANDMARKS, PIXELS, SyncExpert, SyncExpertConfig
from ..sync.offset import MOST_OFFSET, agreement_curve
from .loop import LoopRecipe, Task
from .prepared import read_prepared
from .sync_clips import SyncClip, clip_chances, read_sync_clips, repaired


@dataclass(frozen=True)
class SyncRecipe:
    """What an expert learns from and what its loss weighs."""

    config: SyncExpertConfig = field(default_factory=lambda: SyncExpertConfig(encoder=""))
    loop: LoopRecipe = field(
        default_factory=lambda: LoopRecipe(steps=2000, learning_rate=1e-3, weight_decay=0.05)
    )
    batch_size: int = 24
    steps: int = 75
    windows: tuple[int, ...] = (7, 19, 45)
    """Lengths in steps over which agreement is averaged before offsets are told apart."""
    swap_weight: float = 0.5
    """Of telling a clip's own speech from that of the batch's other clips."""
    balance: float = 0.5
    """See `sync_clips.clip_chances`."""
    stretch: float = 0.25
    """Standard deviation of a random linear change of the lip shape: a way of speaking that says
    nothing about sync."""
    jitter: float = 0.004
    """Of the landmarks, eye distances: a tracker's noise on small or re-rendered faces."""
    speech_noise: float = 0.3
    """In standard deviations of a feature."""
    hidden: float = 0.15
    """Chance that a clip loses a stretch of up to a third of its speech features."""


PRESETS = {
    "sync-judge": SyncRecipe(),
    "sync-teacher": SyncRecipe(
        config=SyncExpertConfig(encoder="", width=128, embedding=64, dilations=(1, 2)),
        loop=LoopRecipe(steps=2000, learning_rate=1e-3, weight_decay=0.05, seed=1),
        windows=(11, 31),
        stretch=0.15,
    ),
    "sync-pixels": SyncRecipe(config=SyncExpertConfig(encoder="", sees=PIXELS), balance=0.35),
    "sync-tiny": SyncRecipe(
        config=SyncExpertConfig(encoder="", width=32, embedding=16, dilations=(1,), dropout=0.0),
        loop=LoopRecipe(steps=150, learning_rate=3e-3, warmup_steps=10),
        batch_size=8,
    ),
}
"""Named recipes."""


def build_sync_task(
    prepared: Path, recipe: SyncRecipe, earlier: SyncExpert | None = None
) -> "SyncTask":
    """The task of learning `recipe` from the clips beneath `prepared`, whose sound is moved first
    to where an `earlier` expert finds that it belongs, if one is given."""
    torch.manual_seed(recipe.loop.seed)
    train, validation = (
        read_sync_clips(prepared, split, recipe.config.sees) for split in ("train", "validation")
    )
    if earlier is not None:
        train = repaired(train, earlier, read_prepared(prepared)[0].encoder)
    if len(train) < 2:
        raise TrainingError(f"{len(train)} clips to learn sync from, at least 2 are needed")
    speech = torch.cat([clip.speech[0] for clip in train]).float()
    config = replace(
        recipe.config,
        encoder=read_prepared(prepared)[0].encoder,
        speech_width=speech.shape[1],
    )
    expert = SyncExpert(config)
    expert.speech_mean.copy_(speech.mean(dim=0))
    expert.speech_scale.copy_(speech.std(dim=0) + 1e-3)
    if config.sees == LANDMARKS:
        moved = [
            clip.lips[clip.valid] - clip.lips[clip.valid].mean(dim=0)
            for clip in train
            if clip.valid.any()
        ]
        expert.lip_scale.copy_(torch.cat(moved).flatten(1).std(dim=0) + 1e-3)
    else:
        expert.lip_scale.fill_(0.1)
    return SyncTask(expert, train, validation, recipe)


class SyncTask(Task):
    """Windows told from the same windows at other offsets, and from other clips."""

    def __init__(
        self,
        expert: SyncExpert,
        train: list[SyncClip],
        validation: list[SyncClip],
        recipe: SyncRecipe,
    ):
        self.model = self.expert = expert
        self.train, self.validation, self.recipe = train, validation, recipe
        self.chances = clip_chances(train, recipe.balance)

    def loss(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        device = self.expert.speech_mean.device
        lips, speech, valid = (x.to(device) for x in self._batch(generator))
        seen, heard, sharpness = model(lips, speech, valid)
        # In float32: sums over time differ from each other by little.
        with autocast(device.type, enabled=False):
            moments = offset_loss(seen, heard, valid, sharpness, self.recipe.windows)
            swaps = swap_loss(seen, heard, valid, sharpness)
        figures = {"offset": moments.item(), "swap": swaps.item()}
        return moments + self.recipe.swap_weight * swaps, figures

    def _batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        recipe = self.recipe
        chosen = torch.multinomial(
            self.chances, recipe.batch_size, replacement=True, generator=generator
        )
        rows = [self._window(self.train[i], generator) for i in chosen.tolist()]
        return tuple(torch.stack(column) for column in zip(*rows, strict=True))  # type: ignore[return-value]

    def _window(self, clip: SyncClip, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        steps = self.recipe.steps
        start = _below(max(len(clip.valid) - steps, 0) + 1, generator)
        inside = slice(start, start + steps)
        speech = clip.speech[_below(len(clip.speech), generator), inside].float()
        lips, valid = clip.lips[inside], clip.valid[inside]
        missing = steps - len(valid)
        if missing:
            speech = torch.cat([speech, speech[-1:].expand(missing, -1)])
            lips = torch.cat([lips, lips[-1:].expand(missing, -1, -1)])
            valid = nn.functional.pad(valid, (0, missing))
        change = change_pictures if lips.dtype == torch.uint8 else change_landmarks
        return change(lips, self.recipe, generator), self._spoilt(speech, generator), valid

    def _spoilt(self, speech: Tensor, generator: torch.Generator) -> Tensor:
        scale = self.expert.speech_scale.cpu()
        speech = speech + self.recipe.speech_noise * scale * torch.randn(
            speech.shape, generator=generator
        ) * torch.rand((), generator=generator)
        if float(torch.rand((), generator=generator)) < self.recipe.hidden:
            length = _below(len(speech) // 3, generator) + 1
            start = _below(len(speech) - length + 1, generator)
            speech[start : start + length] = self.expert.speech_mean.cpu()
        return speech

    @torch.no_grad()
    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Shares of held-out clips whose offset is found exactly and within one step."""
        device, offsets = self.expert.speech_mean.device, []
        for clip in self.validation:
            lips = clip.lips.float() / (255 if clip.lips.dtype == torch.uint8 else 1)
            seen = self.expert.embed_lips(lips[None].to(device), clip.valid[None].to(device))
            heard = self.expert.embed_speech(clip.speech[0][None].float().to(device))
            curve = agreement_curve(seen[0].cpu(), clip.valid, heard[0].cpu())
            offsets.append(int(curve.nan_to_num(-2).argmax()) - MOST_OFFSET)
        found = torch.tensor(offsets).abs()
        return {
            "exact": (found == 0).float().mean().item(),
            "within_1": (found <= 1).float().mean().item(),
        }


def change_landmarks(
    lips: Float[Tensor, "t 40 3"], recipe: SyncRecipe, generator: torch.Generator
) -> Float[Tensor, "t 40 3"]:
    """Another way to move the same lips at the same moments: axes mixed and scaled, the upper and
    lower lip and both sides moved by other amounts, and a tracker's noise."""
    mixing = torch.eye(3) + recipe.stretch * torch.randn(3, 3, generator=generator) * torch.tensor(
        [[1.0, 0.3, 0.3], [0.3, 1.0, 0.3], [0.5, 0.5, 1.0]]
    )
    centre = lips.mean(dim=0)
    place = centre - centre.mean(dim=0)
    slopes = 2 * recipe.stretch * torch.randn(2, generator=generator)
    local = 1 + (place[:, :2] / place[:, :2].abs().amax(dim=0)) @ slopes * 0.5
    moved = (lips - centre) @ mixing * local[:, None]
    loudness = torch.exp(recipe.stretch * torch.randn((), generator=generator))
    noise = (
        recipe.jitter
        * torch.rand((), generator=generator)
        * torch.randn(lips.shape, generator=generator)
    )
    return centre + loudness * moved + noise


def change_pictures(
    pictures: Tensor, recipe: SyncRecipe, generator: torch.Generator
) -> Float[Tensor, "t h w"]:
    """Other light and contrast, mirrored or not, shifted by a little, with noise."""
    changed = pictures.float() / 255
    if float(torch.rand((), generator=generator)) < 0.5:
        changed = changed.flip(2)
    gain, lift = torch.randn(2, generator=generator).mul(0.3).tolist()
    changed = (changed.clamp_min(1e-3) ** (2.0 ** (0.7 * lift))) * 2.0**gain
    down, right = (torch.randint(-2, 3, (2,), generator=generator)).tolist()
    changed = changed.roll((down, right), dims=(1, 2))
    noise = 0.03 * torch.rand((), generator=generator)
    return (changed + noise * torch.randn(changed.shape, generator=generator)).clamp(0, 1.5)


def offset_loss(
    lips: Float[Tensor, "b t e"],
    speech: Float[Tensor, "b t e"],
    valid: Bool[Tensor, "b t"],
    sharpness: Float[Tensor, ""],
    windows: tuple[int, ...],
) -> Float[Tensor, ""]:
    """Cross entropy of offset 0 among -MOST_OFFSET..MOST_OFFSET, from agreement averaged over
    windows of several lengths."""
    steps, most = lips.shape[1], MOST_OFFSET
    cosine = einsum(speech, lips, "b i e, b j e -> b i j")
    # Column o of `near` is what step i of the speech has to do with step i + o - most of the lips.
    padded = nn.functional.pad(cosine, (most, most))
    seen = nn.functional.pad(valid, (most, most))
    offset = torch.arange(2 * most + 1, device=lips.device)
    step = torch.arange(steps, device=lips.device)
    index = step[:, None] + offset
    near = padded.gather(2, index.expand(len(lips), -1, -1))
    known = seen[:, index].to(near)
    losses = []
    for window in windows:
        total = _sliding(near * known, window)
        count = _sliding(known, window)
        enough = count[..., most] > 0.6 * window
        logits = sharpness * total / count.clamp_min(1)
        logits = logits.masked_fill(count < 0.4 * window, -1e4)
        chance = -logits.log_softmax(dim=-1)[..., most]
        losses.append((chance * enough).sum() / enough.sum().clamp_min(1))
    return torch.stack(losses).mean()


def _sliding(x: Float[Tensor, "b t o"], window: int) -> Float[Tensor, "b u o"]:
    """Sums over `window` steps."""
    total = nn.functional.pad(x.cumsum(dim=1), (0, 0, 1, 0))
    return total[:, window:] - total[:, :-window]


def swap_loss(
    lips: Float[Tensor, "b t e"],
    speech: Float[Tensor, "b t e"],
    valid: Bool[Tensor, "b t"],
    sharpness: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Cross entropy of a clip's own speech among all of the batch, and the other way round."""
    known = valid[..., None].to(lips)
    agreement = einsum(speech, lips * known, "a t e, b t e -> a b") / known.sum(dim=1).T.clamp_min(
        1
    )
    logits, own = sharpness * agreement, torch.arange(len(lips), device=lips.device)
    columns = nn.functional.cross_entropy(logits, own)
    return (columns + nn.functional.cross_entropy(logits.T, own)) / 2


def _below(limit: int, generator: torch.Generator) -> int:
    return int(torch.randint(max(limit, 1), (), generator=generator))
