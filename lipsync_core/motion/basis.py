"""The basis that lip motion is written in: principal components of lip and jaw displacement."""

import hashlib
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from ..landmarks import INNER_LOWER, INNER_UPPER, MOVING, tracked
from ..types import LipMotion


@dataclass(frozen=True)
class LipMotionBasis:
    """Directions in which lips and jaw move together, orthonormal over all 57 x 3 coordinates.

    A motion of zero is the person's neutral shape, so there is no mean to subtract.
    """

    components: Float[Tensor, "m coordinates"]
    extends: int = 0
    """So many of the first components are another basis, which this one extends; 0 for none."""

    @property
    def id(self) -> str:
        """A fingerprint of the components: motions of two bases never meet. That of an extended
        basis begins with the id of the one that it extends, and a "+"."""
        if self.extends:
            own = LipMotionBasis(self.components[: self.extends]).id
            return f"{own}+{_fingerprint(self.components[self.extends :])}"
        return f"lip-pca:{_fingerprint(self.components)}"

    @property
    def size(self) -> int:
        """Coefficients per step."""
        return self.components.shape[0]

    def project(self, displacement: Float[Tensor, "*t points 3"]) -> Float[Tensor, "*t m"]:
        """Coefficients, in eye distances, of the MOVING landmarks minus neutral."""
        return displacement.flatten(-2) @ self.components.T.to(displacement)

    def displacement(self, coefficients: Float[Tensor, "*t m"]) -> Float[Tensor, "*t points 3"]:
        """The MOVING landmarks minus neutral, in eye distances."""
        flat = coefficients @ self.components.to(coefficients)
        return rearrange(flat, "... (points xyz) -> ... points xyz", xyz=3)

    @property
    def opening(self) -> Float[Tensor, " m"]:
        """How far a unit of each component moves the inner lips apart, in eye distances."""
        upper, lower = MOVING.index(INNER_UPPER), MOVING.index(INNER_LOWER)
        points = rearrange(self.components, "m (points xyz) -> m points xyz", xyz=3)
        return points[:, lower, 1] - points[:, upper, 1]


def _fingerprint(components: Float[Tensor, "m coordinates"]) -> str:
    rounded = components.detach().cpu().double().mul(1e4).round().to(torch.int32)
    return hashlib.sha256(rounded.numpy().tobytes()).hexdigest()[:12]


def fit_basis(displacements: list[Float[Tensor, "_ points 3"]], size: int = 24) -> LipMotionBasis:
    """Principal components over several sets of MOVING landmarks minus neutral.

    Each set counts the same however long it is, so that one much-seen speaker does not decide
    alone. Signs are fixed: the largest coordinate of a component is positive. The components are
    rounded to what float16 holds, so that a saved and loaded basis keeps its id.
    """
    coordinates = len(MOVING) * 3
    covariance = torch.zeros(coordinates, coordinates, dtype=torch.float64)
    for displacement in displacements:
        flat = displacement.double().flatten(1)
        covariance += flat.T @ flat / max(len(flat), 1)
    return LipMotionBasis(_leading(covariance, size).half().float())


def extend_basis(
    basis: LipMotionBasis, displacements: list[Float[Tensor, "_ points 3"]], size: int
) -> LipMotionBasis:
    """`basis` with `size` more components: the principal ones of what it cannot express of several
    sets. Its own stay first and as they are, so that its motions can be had from the new one's."""
    if size == 0:
        return basis
    known = basis.components.double()
    outside = torch.eye(known.shape[1], dtype=torch.float64) - known.T @ known
    # Where nothing is left to express, any direction outside, never one inside again.
    covariance = 1e-12 * outside
    for displacement in displacements:
        flat = displacement.double().flatten(1) @ outside
        covariance += flat.T @ flat / max(len(flat), 1)
    added = _leading(covariance, size).half().float()
    return LipMotionBasis(torch.cat([basis.components, added]), extends=basis.size)


def _leading(
    covariance: Float[Tensor, "coordinates coordinates"], size: int
) -> Float[Tensor, "m coordinates"]:
    directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :size].T
    largest = directions.abs().argmax(dim=1, keepdim=True)
    return directions * directions.gather(1, largest).sign()


def motion_to_landmarks(
    motion: LipMotion, basis: LipMotionBasis, neutral: Float[Tensor, "k 3"]
) -> Float[Tensor, "t points 3"]:
    """MOVING landmarks in the canonical face, eye distances, for a TRACKED neutral shape.

    Raises ValueError when the motion is of another basis.
    """
    check_basis(motion.basis, basis.id)
    return basis.displacement(motion.coefficients.float()) + neutral[tracked(MOVING)].float()


def check_basis(found: str, needed: str) -> None:
    """ValueError when two motions or models speak of different bases."""
    if found != needed:
        raise ValueError(
            f"lip motion of basis {found}, basis {needed} is needed: "
            "measure it again with this predictor"
        )
