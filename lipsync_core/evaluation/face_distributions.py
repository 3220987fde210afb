"""The Frechet distance of a run: one figure over the faces of all its clips, kept as it grows.

A clip's faces are added once; a run that goes on reads what was added and comes to the same sums.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..checkpoint import read_metadata, save_tensors
from .frechet_distance import FeatureMoments, frechet_distance
from .statistics import Estimate

FACES_FILE = "faces.safetensors"
Pair = tuple[FeatureMoments, FeatureMoments]
"""Of our faces and of the real ones."""


class FaceDistributions:
    """Moments of the faces' features by subject, kept in a run's folder."""

    def __init__(self, folder: Path):
        self._path = folder / FACES_FILE
        self.clips: list[str] = []
        self._pairs: dict[str, Pair] = {}
        if self._path.is_file():
            self.clips = json.loads(read_metadata(self._path)["clips"])
            self._pairs = _unpacked(load_file(self._path))

    def add(self, clip: str, pairs: dict[str, Pair]) -> None:
        """Adds one clip's faces by subject, unless they are in."""
        if clip in self.clips:
            return
        for subject, (ours, real) in pairs.items():
            if subject in self._pairs:
                our_sum, real_sum = self._pairs[subject]
                self._pairs[subject] = our_sum + ours, real_sum + real
            else:
                self._pairs[subject] = ours, real
        self.clips.append(clip)
        save_tensors(self._path, _packed(self._pairs), {"clips": json.dumps(self.clips)})

    def distances(self) -> dict[str, Estimate]:
        """subject -> distance of all our faces from all real ones; an interval is not known."""
        return {
            subject: Estimate(frechet_distance(*pair), math.nan, math.nan, len(self.clips))
            for subject, pair in self._pairs.items()
        }


def _packed(pairs: dict[str, Pair]) -> dict[str, Tensor]:
    return {
        f"{subject}/{side}/{name}": value
        for subject, pair in pairs.items()
        for side, moments in zip(("ours", "real"), pair, strict=True)
        for name, value in {
            "count": torch.tensor(moments.count),
            "mean": moments.mean,
            "scatter": moments.scatter,
        }.items()
    }


def _unpacked(tensors: dict[str, Tensor]) -> dict[str, Pair]:
    def moments(subject: str, side: str) -> FeatureMoments:
        count, mean, scatter = (
            tensors[f"{subject}/{side}/{name}"] for name in ("count", "mean", "scatter")
        )
        return FeatureMoments(int(count), mean, scatter)

    subjects = dict.fromkeys(name.split("/")[0] for name in tensors)
    return {subject: (moments(subject, "ours"), moments(subject, "real")) for subject in subjects}
