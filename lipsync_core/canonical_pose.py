"""Head pose taken out of landmarks: the rigid way from any face into the canonical face.

Rotation, scale and position are fitted to the STABLE landmarks alone, so what speech moves keeps
moving in the result. Face tracking and motion measurement share this one definition.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .landmarks import STABLE, canonical, tracked


@dataclass(frozen=True)
class Similarity:
    """target = scale * rotation @ source + translation."""

    scale: Float[Tensor, " t"]
    rotation: Float[Tensor, "t d d"]
    translation: Float[Tensor, "t d"]

    def __call__(self, points: Float[Tensor, "t k d"]) -> Float[Tensor, "t k d"]:
        """The points mapped, one similarity per step."""
        turned = torch.einsum("tij,tkj->tki", self.rotation, points.to(self.rotation))
        return self.scale[:, None, None] * turned + self.translation[:, None]


@dataclass(frozen=True)
class CanonicalLandmarks:
    """Landmarks without head pose, and the pose that was taken out."""

    landmarks: Float[Tensor, "t k 3"]
    """In the canonical face, eye distances, float64."""
    yaw: Float[Tensor, " t"]
    """Degrees; 0 looks into the camera, > 0 towards the picture's right."""
    pitch: Float[Tensor, " t"]
    """Degrees; > 0 looks down."""


def fit_similarity(
    source: Float[Tensor, "t k d"],
    target: Float[Tensor, "k d"],
    weights: Float[Tensor, " k"] | None = None,
) -> Similarity:
    """The least-squares similarity of every step's points to `target`, in float64.

    Closed form of Umeyama, "Least-squares estimation of transformation parameters between two
    point patterns", IEEE PAMI 13(4), 1991, equations 39 to 43. Never mirrors.
    """
    source, target = source.double(), target.to(source.device).double()
    weights = torch.ones(len(target)) if weights is None else weights
    weights = weights.to(source) / weights.to(source).sum()
    source_mean = torch.einsum("k,tki->ti", weights, source)
    target_mean = weights @ target
    centred, wanted = source - source_mean[:, None], target - target_mean
    covariance = torch.einsum("k,ki,tkj->tij", weights, wanted, centred)
    left, singular, right = torch.linalg.svd(covariance)
    signs = torch.ones_like(singular)
    signs[:, -1] = torch.sign(torch.linalg.det(left) * torch.linalg.det(right))
    rotation = left * signs[:, None] @ right
    variance = torch.einsum("k,tki->t", weights, centred.square()).clamp_min(1e-12)
    scale = (singular * signs).sum(dim=1) / variance
    moved = torch.einsum("tij,tj->ti", rotation, source_mean)
    return Similarity(scale, rotation, target_mean - scale[:, None] * moved)


def canonicalise(landmarks: Float[Tensor, "t k 3"]) -> CanonicalLandmarks:
    """TRACKED landmarks of any face, size and pose, moved rigidly into the canonical face."""
    pose = fit_similarity(landmarks[:, tracked(STABLE)], canonical(STABLE))
    # The rotation takes the head to the canonical face, so its transpose turns the canonical gaze
    # direction, -z, to where the head looks in the picture.
    gaze = -pose.rotation[:, 2]
    return CanonicalLandmarks(
        landmarks=pose(landmarks.double()),
        yaw=torch.rad2deg(torch.atan2(gaze[:, 0], -gaze[:, 2])),
        pitch=torch.rad2deg(torch.asin(gaze[:, 1].clamp(-1, 1))),
    )
