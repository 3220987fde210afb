"""Batches of the renderer as latents, each seen more than once.

Drawing, changing and encoding a batch of pictures takes longer than a step on its latents. So only
every few steps see a new batch; those between see one of the last again, with other noise at other
times. Which batch a step sees depends on the step and the seed alone: a resumed run makes the same.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..render.renderer import LipRenderer, window
from .rendered_clips import RenderedBatch, RenderedClips, SceneRecipe


@dataclass(frozen=True)
class EncodedBatch:
    """What the denoiser learns from: latents of windows of crops, and the mouths in pixels."""

    clean: Float[Tensor, "b c h w"]
    masked: Float[Tensor, "b c h w"]
    references: Float[Tensor, "p c h w"]
    motion: Float[Tensor, "b steps m"]
    """Normalised."""
    shown: Float[Tensor, "b n m"]
    """Normalised motion of the references."""
    choice: Int[Tensor, "b n"]
    usable: Bool[Tensor, "b n"]
    distance: Float[Tensor, "b n"]
    mouths: Float[Tensor, "b 3 y x"]
    """In [-1, 1], the part of the windows that was asked for."""
    frames: int
    """Targets per scene; those of one scene stand together."""
    placed: Float[Tensor, "b c h w"] | None = None
    """Of the nearest references with their lips in place, for renderers that begin from them."""


def encode_batch(
    renderer: LipRenderer, batch: RenderedBatch, mouth: tuple[slice, slice]
) -> EncodedBatch:
    """`batch` through the renderer's codec; `mouth` are rows and columns of the window."""
    batch = batch.to(renderer.device)
    return EncodedBatch(
        clean=renderer.encode(batch.crops),
        masked=renderer.encode_masked(batch.crops),
        references=renderer.encode(batch.references),
        motion=renderer.normalised_motion(batch.motion),
        shown=renderer.normalised_motion(batch.shown),
        choice=batch.choice,
        usable=batch.usable,
        distance=batch.distance,
        mouths=window(batch.crops)[(..., *mouth)].clone(),
        frames=batch.frames,
        placed=renderer.encode(batch.placed) if renderer.config.places_references else None,
    )


class EncodedScenes:
    """The batch of every step."""

    def __init__(
        self,
        renderer: LipRenderer,
        clips: RenderedClips,
        recipe: SceneRecipe,
        mouth: tuple[slice, slice],
        seed: int,
        new_every: int,
        kept: int,
    ):
        """A new batch every `new_every` steps; between, one of the last `kept` new ones."""
        self.renderer, self.clips, self.recipe, self.mouth = renderer, clips, recipe, mouth
        self.seed, self.new_every, self.kept = seed, new_every, kept
        self._last: OrderedDict[int, EncodedBatch] = OrderedDict()

    def number(self, step: int, generator: torch.Generator) -> int:
        """Which batch `step` sees: the number of the step that saw it first."""
        newest = step - step % self.new_every
        if step == newest:
            return step
        seen = min(self.kept, newest // self.new_every + 1)
        return newest - self.new_every * int(torch.randint(seen, (), generator=generator))

    @torch.no_grad()
    def at(self, step: int, generator: torch.Generator) -> EncodedBatch:
        """The batch of `step`, made if it is not among the last."""
        number = self.number(step, generator)
        if number not in self._last:
            own = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
            steps = self.renderer.config.motion_window_steps
            drawn = self.clips.draw(self.recipe, steps, own)
            self._last[number] = encode_batch(self.renderer, drawn, self.mouth)
        while len(self._last) > self.kept:
            self._last.popitem(last=False)
        return self._last[number]
