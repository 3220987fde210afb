"""A frozen list of styles as the style benchmark takes it, whatever the styles are written in."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .heard import Heard


@runtime_checkable
class Style(Protocol):
    """One way to talk, put on real lip motion."""

    @property
    def name(self) -> str: ...

    @property
    def family(self) -> str: ...

    def apply(
        self, displacement: Float[Tensor, "t points 3"], heard: Heard
    ) -> Float[Tensor, "t points 3"]:
        """The same lips as the style would move them; `displacement` from neutral, eye
        distances."""
        ...

    def gate(self, heard: Heard) -> Float[Tensor, " t"] | None:
        """How much each step counts for a style of one class of sounds; None: all alike."""
        ...


@dataclass(frozen=True)
class StyleList:
    """Styles that are judged together."""

    mode: str
    """Of the rows that tell of them."""
    styles: Sequence[Style]
    each: int | None = None
    """Styles of a family that a target clip meets, others on every clip; None: all."""
    alike: float | None = None
    """From which cosine of their changes on two styles are not asked to be told apart; a style that
    changes nothing on a clip is not looked for either. None: any two are, everywhere."""

    def met(self, number: int) -> list[int]:
        """Which styles the target clip of that number meets, neighbours of a family together."""
        families: dict[str, list[int]] = {}
        for i, style in enumerate(self.styles):
            families.setdefault(style.family, []).append(i)
        found = []
        for own in families.values():
            count = len(own) if self.each is None else min(self.each, len(own))
            found += [own[(number * count + k) % len(own)] for k in range(count)]
        return found


def frozen_styles(path: Path) -> list[dict[str, Any]]:
    """The styles of a file; ValueError when it is not the one that its hash was made of."""
    stored = json.loads(path.read_text())
    if (found := styles_hash(stored["styles"])) != stored["sha256"]:
        raise ValueError(
            f"{path.name} has hash {found[:12]}, its header says {stored['sha256'][:12]}: "
            "the benchmark's styles are frozen; get the file back from version control"
        )
    return [{name: as_tuples(value) for name, value in style.items()} for style in stored["styles"]]


def styles_hash(styles: list[dict]) -> str:
    """sha256 of the list in its canonical JSON form."""
    canonical = json.dumps(styles, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def write_styles(styles: Sequence[Any], path: Path) -> None:
    """Writes a list of style dataclasses with its hash."""
    plain = json.loads(json.dumps([asdict(style) for style in styles]))
    path.write_text(json.dumps({"sha256": styles_hash(plain), "styles": plain}, indent=1) + "\n")


def as_tuples(value: Any) -> Any:
    """JSON's lists as tuples, inside of dicts too."""
    if isinstance(value, dict):
        return {name: as_tuples(inner) for name, inner in value.items()}
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def in_time(motion: Float[Tensor, "t ..."], lag: int, smoothing: float) -> Tensor:
    """Later by `lag` steps and smoothed (deviation in steps); the ends are held."""
    if lag == 0 and smoothing == 0:
        return motion
    reach = abs(lag) + int(3 * smoothing) + 1
    tap = torch.arange(-reach, reach + 1)
    weight = torch.exp(-0.5 * ((tap - lag) / max(smoothing, 1e-3)) ** 2)
    weight = (weight / weight.sum()).to(motion)
    flat = nn.functional.pad(motion.flatten(1).T[:, None], (reach, reach), mode="replicate")
    # conv1d correlates: the kernel is turned round.
    smooth = nn.functional.conv1d(flat, weight.flip(0)[None, None])
    return smooth[:, 0].T.reshape(motion.shape)
