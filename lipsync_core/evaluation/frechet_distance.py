"""How far two sets of pictures are apart as distributions: Frechet distance of their features."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

NAME = "Frechet distance (EfficientNet-Lite0)"


@dataclass(frozen=True)
class FeatureMoments:
    """Count, mean and scatter of feature vectors, in float64; those of two sets add up.

    Sums about the mean, merged as by Chan, Golub and LeVeque (1983), so that nothing cancels.
    """

    count: int
    mean: Float[Tensor, " d"]
    scatter: Float[Tensor, "d d"]
    """Sum of outer products of deviations from the mean."""

    @classmethod
    def none(cls, features: int) -> "FeatureMoments":
        """Of no vectors yet."""
        zeros = torch.zeros(features, features, dtype=torch.float64)
        return cls(0, zeros[0].clone(), zeros)

    @classmethod
    def of(cls, features: Float[Tensor, "t d"]) -> "FeatureMoments":
        """Of these vectors."""
        if not len(features):
            return cls.none(features.shape[1])
        features = features.double()
        mean = features.mean(0)
        deviations = features - mean
        return cls(len(features), mean, deviations.T @ deviations)

    def __add__(self, other: "FeatureMoments") -> "FeatureMoments":
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = torch.outer(apart, apart) * (self.count * other.count / count)
        return FeatureMoments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """Unbiased; of two vectors and more."""
        return self.scatter / (self.count - 1)


def frechet_distance(one: FeatureMoments, other: FeatureMoments) -> float:
    """Squared Frechet distance of two Gaussians with these moments (Dowson and Landau 1982);
    nan of fewer than two vectors.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), the last trace from the eigenvalues of a
    symmetric matrix, clipped at 0: no square root of a product that is not symmetric, which is
    what goes wrong for singular covariances.

    With fewer vectors than features, or few at all, it comes out too large, the more so the fewer:
    compare only sets of equal size, beside the ceiling of the same size; frames of one clip are
    hardly independent. The features are no Inception's: this is no FID.
    """
    if min(one.count, other.count) < 2:
        return math.nan
    values, vectors = torch.linalg.eigh(one.covariance)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    product = root @ other.covariance @ root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    traces = one.covariance.trace() + other.covariance.trace()
    return max(float((one.mean - other.mean).square().sum() + traces - 2 * cross), 0.0)
