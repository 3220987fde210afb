"""Random styles put on real motion, so that a predictor has to read its reference.

With one transform on reference and target alike, and a new one for every group, the style can be
had from nowhere but the reference. All work on coefficients in units of their standard deviation.
"""

from dataclasses import dataclass, fields

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor, nn

_LEADING = 10
"""Components that carry visible shape: offsets on the rest are kept small."""
_MIXED = 8
_ANCHORS = 6
_TAPS = 6
"""Steps to each side that lag and smoothing reach."""


@dataclass(frozen=True)
class StyleChances:
    """How likely each part of a random style is; 0 leaves a part out, 1 always draws it."""

    shape: float = 0.7
    """Gain per component, and mixing between the first ones."""
    offset: float = 0.5
    lag: float = 0.3
    smoothing: float = 0.3
    sounds: float = 0.5
    """Gain and offset on clusters of like sounds."""
    direction: float = 0.4
    """Gain and offset that grow along a random direction of the speech features."""
    anchors: float = 0.5
    """Gain and offset near to sounds picked from what is heard: a few frames and all like them."""
    asymmetry: float = 0.3
    """Another gain for each sign of a component: wide lips may stretch where round ones do not."""
    lopsided: float = 0.25
    """One half of the mouth moves more than the other."""
    closure: float = 0.2
    """Lips that do not meet, or that press, where the mouth is nearly closed."""


@dataclass(frozen=True)
class ContentGates:
    """Which sound is heard, softly and without any phone labels: k-means over speech features."""

    mean: Float[Tensor, " d"]
    projection: Float[Tensor, "d p"]
    """Onto whitened principal components."""
    centres: tuple[Float[Tensor, "_ p"], ...]

    @property
    def sizes(self) -> tuple[int, int]:
        """How many clusters and components it tells apart."""
        return sum(map(len, self.centres)), self.projection.shape[1]

    @staticmethod
    def fit(
        features: Float[Tensor, "n d"],
        generator: torch.Generator,
        components: int = 16,
        clusters: tuple[int, ...] = (16, 32),
    ) -> "ContentGates":
        """Gates from all training speech (features of unit scale)."""
        mean = features.mean(dim=0)
        values, vectors = torch.linalg.eigh((features - mean).T.cov())
        scale = values[-components:].clamp_min(1e-8).rsqrt()
        projection = vectors[:, -components:] * scale
        points = (features - mean) @ projection
        centres = tuple(_k_means(points, count, generator) for count in clusters)
        return ContentGates(mean, projection, centres)

    def __call__(
        self, features: Float[Tensor, "t d"]
    ) -> tuple[Float[Tensor, "t c"], Float[Tensor, "t p"]]:
        """Posteriors of every cluster, smoothed over neighbouring steps, and the components."""
        points = (features - self.mean) @ self.projection
        posteriors = torch.cat(
            [(-torch.cdist(points, c).square() / 3).softmax(dim=1) for c in self.centres], dim=1
        )
        kernel = torch.exp(-0.5 * torch.arange(-3.0, 4.0) ** 2)
        padded = nn.functional.pad(posteriors.T[:, None], (3, 3), mode="replicate")
        smooth = nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])
        return smooth[:, 0].T, points


def _k_means(
    points: Float[Tensor, "n p"], count: int, generator: torch.Generator, rounds: int = 12
) -> Float[Tensor, "c p"]:
    chosen = torch.randperm(len(points), generator=generator)[:count]
    centres = points[chosen].clone()
    for _ in range(rounds):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        members = torch.bincount(nearest, minlength=len(centres))
        centres = torch.where(members[:, None] > 0, sums / members[:, None].clamp_min(1), centres)
    return centres


@dataclass(frozen=True)
class StyleTransforms:
    """b random styles over m coefficients, c sound clusters and p speech components."""

    gain: Float[Tensor, "b m"]
    mixing: Float[Tensor, "b m m"]
    offset: Float[Tensor, "b m"]
    kernel: Float[Tensor, "b taps"]
    sound_gain: Float[Tensor, "b c m"]
    sound_offset: Float[Tensor, "b c m"]
    direction: Float[Tensor, "b p"]
    threshold: Float[Tensor, " b"]
    direction_gain: Float[Tensor, "b m"]
    direction_offset: Float[Tensor, "b m"]
    anchor: Float[Tensor, "b a p"]
    radius: Float[Tensor, "b a"]
    """Distance in the speech components at which an anchor's change is halved."""
    anchor_gain: Float[Tensor, "b a m"]
    anchor_offset: Float[Tensor, "b a m"]
    asymmetry: Float[Tensor, "b m"]
    lopsided: Float[Tensor, " b"]
    closure: Float[Tensor, " b"]

    def rolled(self, shift: int) -> "StyleTransforms":
        """The same styles on other groups."""
        return StyleTransforms(
            **{f.name: getattr(self, f.name).roll(shift, dims=0) for f in fields(self)}
        )

    def where(self, chosen: Bool[Tensor, " b"], other: "StyleTransforms") -> "StyleTransforms":
        """These styles where `chosen`, the others elsewhere."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return StyleTransforms(
            **{
                name: torch.where(chosen.reshape(-1, *(1,) * (mine.ndim - 1)), mine, theirs)
                for name, mine, theirs in pairs
            }
        )


def draw_styles(
    count: int,
    size: int,
    generator: torch.Generator,
    chances: StyleChances,
    sounds: tuple[int, int] = (48, 16),
    heard: Float[Tensor, "b n p"] | None = None,
) -> StyleTransforms:
    """`count` random styles for motion of `size` coefficients and a gate's `sizes` of sounds.

    heard: speech components that each style's anchors are picked from; without it they are drawn
    at random, as far apart as speech is.
    """
    clusters, components = sounds
    heard = torch.randn(count, 64, components, generator=generator) if heard is None else heard

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def on(chance: float) -> Tensor:
        return (uniform(count, 1) < chance).float()

    leading = torch.where(torch.arange(size) < _LEADING, 1.0, 0.3)
    shape = on(chances.shape)
    mixing = torch.zeros(count, size, size)
    mixed = min(_MIXED, size)
    mixing[:, :mixed, :mixed] = 0.12 * normal(count, mixed, mixed) * shape[..., None]
    lag = torch.randint(-2, 3, (count, 1), generator=generator) * on(chances.lag)
    width = 0.05 + 1.3 * uniform(count, 1) * on(chances.smoothing)
    active = (uniform(count, clusters, 1) < 0.25) * on(chances.sounds)[..., None]
    scaled = active * (uniform(count, clusters, 1) < 0.5)
    directed = on(chances.direction)
    anchor, radius = _anchors(heard, generator)
    near = (uniform(count, _ANCHORS, 1) < 0.6) * on(chances.anchors)[..., None]
    return StyleTransforms(
        gain=torch.exp(shape * (0.25 * normal(count, 1) + 0.2 * normal(count, size))),
        mixing=mixing,
        offset=0.35 * normal(count, size) * on(chances.offset) * leading,
        kernel=_kernel(lag, width),
        sound_gain=0.45 * normal(count, clusters, size) * scaled,
        sound_offset=0.7 * normal(count, clusters, size) * active * leading,
        direction=4 * nn.functional.normalize(normal(count, components), dim=1),
        threshold=3.2 * normal(count),
        direction_gain=0.4 * normal(count, size) * directed,
        direction_offset=0.7 * normal(count, size) * directed * leading,
        anchor=anchor,
        radius=radius,
        anchor_gain=0.45 * normal(count, _ANCHORS, size) * near,
        anchor_offset=0.8 * normal(count, _ANCHORS, size) * near * leading,
        asymmetry=0.25 * normal(count, size) * on(chances.asymmetry),
        lopsided=((2 * uniform(count, 1) - 1) * on(chances.lopsided))[:, 0],
        closure=((uniform(count, 1) * 1.3 - 0.3) * on(chances.closure))[:, 0],
    )


def no_styles(count: int, size: int, sounds: tuple[int, int] = (48, 16)) -> StyleTransforms:
    """Styles that change nothing."""
    none = StyleChances(**{field.name: 0.0 for field in fields(StyleChances)})
    return draw_styles(count, size, torch.Generator(), none, sounds)


def _anchors(
    heard: Float[Tensor, "b n p"], generator: torch.Generator
) -> tuple[Float[Tensor, "b a p"], Float[Tensor, "b a"]]:
    """Frames of what is heard, each with a radius that takes in 2 to 15 % of all frames."""
    count, frames, _ = heard.shape
    chosen = torch.randint(frames, (count, _ANCHORS), generator=generator)
    anchor = heard.gather(1, chosen[..., None].expand(-1, -1, heard.shape[2]))
    share = 0.02 + 0.13 * torch.rand(count, _ANCHORS, generator=generator)
    distance = torch.cdist(anchor, heard).sort(dim=2).values
    rank = (share * frames).long().clamp(1, frames - 1)
    return anchor, distance.gather(2, rank[..., None])[..., 0].clamp_min(1e-3)


def _kernel(lag: Float[Tensor, "b 1"], width: Float[Tensor, "b 1"]) -> Float[Tensor, "b taps"]:
    tap = torch.arange(-_TAPS, _TAPS + 1)
    weight = torch.exp(-0.5 * ((tap - lag) / width) ** 2)
    return weight / weight.sum(dim=1, keepdim=True)


def apply_styles(
    styles: StyleTransforms,
    motion: Float[Tensor, "b g t m"],
    posteriors: Float[Tensor, "b g t c"],
    components: Float[Tensor, "b g t p"],
    closed: Float[Tensor, "b g t"],
    opening: Float[Tensor, " m"],
    sides: Float[Tensor, "m m"],
) -> Float[Tensor, "b g t m"]:
    """One style per group on all its clips.

    `closed` tells how nearly the lips meet (0 to 1), `opening` is the direction that parts them,
    motion @ `sides` is the same motion of the picture's right half minus that of its left.
    """
    every = (slice(None), None, None)
    bent = motion * torch.exp(styles.asymmetry[every] * motion.tanh())
    bent = bent + styles.lopsided[every][..., None] * (bent @ sides)
    mixed = einsum(bent, styles.mixing, "b g t k, b k m -> b g t m")
    styled = bent * styles.gain[every] + mixed + styles.offset[every]

    along = einsum(components, styles.direction, "b g t p, b p -> b g t")
    side = torch.sigmoid(along - styles.threshold[every])[..., None]
    near = _nearness(styles, components)
    heard_gain = einsum(posteriors, styles.sound_gain, "b g t c, b c m -> b g t m")
    heard_gain = heard_gain + einsum(near, styles.anchor_gain, "b g t a, b a m -> b g t m")
    heard_offset = einsum(posteriors, styles.sound_offset, "b g t c, b c m -> b g t m")
    heard_offset = heard_offset + einsum(near, styles.anchor_offset, "b g t a, b a m -> b g t m")
    gain = torch.exp((heard_gain + side * styles.direction_gain[every]).clamp(-1.2, 1.2))
    styled = styled * gain + heard_offset + side * styles.direction_offset[every]

    parted = (styles.closure[every] * closed)[..., None] * opening
    return _filtered(styled + parted, styles.kernel)


def _nearness(
    styles: StyleTransforms, components: Float[Tensor, "b g t p"]
) -> Float[Tensor, "b g t a"]:
    """1 where an anchor's very sound is heard, one half at its radius; lips glide in and out."""
    distance = torch.cdist(components.flatten(1, 2), styles.anchor)
    near = torch.exp2(-(distance / styles.radius[:, None]).square())
    near = near.unflatten(1, components.shape[1:3])
    before, after = near[:, :, :1], near[:, :, -1:]
    padded = torch.cat([before, near, after], dim=2)
    return 0.25 * padded[:, :, :-2] + 0.5 * near + 0.25 * padded[:, :, 2:]


def _filtered(
    motion: Float[Tensor, "b g t m"], kernel: Float[Tensor, "b taps"]
) -> Float[Tensor, "b g t m"]:
    """Delays and smooths each group by its kernel; the ends are held."""
    steps = motion.shape[2]
    result = torch.zeros_like(motion)
    for tap in range(-_TAPS, _TAPS + 1):
        weight = kernel[:, tap + _TAPS]
        if (weight < 1e-4).all():
            continue
        source = (torch.arange(steps) - tap).clamp(0, steps - 1)
        result += weight[:, None, None, None] * motion[:, :, source]
    return result
