"""How the landmark map is made: render heads, find their landmarks, take the surface point that
lies nearest to each in all pictures.

Made once, with the pack's own landmarker. No single picture tells where a landmark lies on the
surface: closed lips hide which lip a point belongs to, a silhouette slides as the head turns, and
the landmarker errs by a pixel. So every vertex is a candidate, and that with the smallest mean
squared distance over identities, expressions (closed mouths and open ones) and poses is refined
to a point of one of its triangles.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..landmarks import TRACKED
from ..types import OnProgress
from .camera import Camera, posed
from .face_kit import SKIN, FaceKit
from .landmark_map import LandmarkMap

Find = Callable[[Float[Tensor, "h w 3"]], Float[Tensor, "478 2"] | None]
"""A picture to its landmarks in pixels, None where no face is found."""
Render = Callable[[Float[Tensor, "v 3"], Camera, int], Float[Tensor, "h w 3"]]
"""Posed vertices in cm to a picture."""

SIZE = 384
EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},
    {"mouthPress_L": 0.5, "mouthPress_R": 0.5},
    {"jawOpen": 0.1},
    {"jawOpen": 0.25},
    {"jawOpen": 0.5},
    {"jawOpen": 0.35, "mouthPucker": 0.5},
    {"jawOpen": 0.3, "mouthSmile_L": 0.5, "mouthSmile_R": 0.5},
    {"jawOpen": 0.4, "mouthFunnel": 0.5},
    {"jawOpen": 0.2, "mouthLowerDown_L": 0.7, "mouthLowerDown_R": 0.7,
     "mouthUpperUp_L": 0.5, "mouthUpperUp_R": 0.5},
)  # fmt: skip
POSES = ((0.0, 0.0), (-18.0, 0.0), (18.0, 0.0), (0.0, 12.0), (0.0, -12.0))
"""Yaw and pitch, degrees."""
_REFINED = 8
"""How many of the best vertices' triangles are searched for the point itself."""


def fit_landmark_map(
    kit: FaceKit,
    find: Find,
    render: Render,
    identities: Float[Tensor, "i n"],
    on_progress: OnProgress | None = None,
    expressions: tuple[dict[str, float], ...] = EXPRESSIONS,
) -> LandmarkMap:
    """The map of `kit`, from pictures of all `identities` in all `expressions` and POSES."""
    camera = Camera(view=24.0)
    skin = kit.vertices_of(SKIN)
    triangles = kit.triangles(SKIN)
    projected, found = [], []
    total = len(identities) * len(expressions) * len(POSES)
    for done, (identity, weights, (yaw, pitch)) in enumerate(
        (i, e, p) for i in identities for e in expressions for p in POSES
    ):
        pose = torch.tensor([[yaw, pitch, 0.0, 0.0, 0.0]])
        vertices = posed(kit.vertices(identity, kit.expressions(**weights)), pose)[0]
        landmarks = find(render(vertices, camera, SIZE))
        if landmarks is not None:
            found.append(landmarks[list(TRACKED)])
            projected.append(camera.project(vertices, SIZE)[:, :2])
        if on_progress is not None:
            on_progress(done + 1, total)
    if len(found) < total // 2:
        raise ValueError(f"a face was found in {len(found)} of {total} pictures: too few for a map")
    points, wanted = torch.stack(projected), torch.stack(found)
    rows = [_nearest(points, wanted[:, k], skin, triangles) for k in range(len(TRACKED))]
    vertices = torch.stack([row[0] for row in rows])
    return LandmarkMap(vertices, torch.stack([row[1] for row in rows]), len(kit.neutral))


def _nearest(
    points: Float[Tensor, "p v 2"],
    wanted: Float[Tensor, "p 2"],
    skin: Int[Tensor, " c"],
    triangles: Int[Tensor, "f 3"],
) -> tuple[Int[Tensor, " 3"], Float[Tensor, " 3"]]:
    """The point of one triangle with the smallest robust distance to `wanted` over pictures."""
    distance = (points[:, skin] - wanted[:, None]).square().sum(dim=-1)
    # The median lets a few pictures err, the mean tells neighbours apart.
    best = skin[(distance.mean(dim=0) + distance.median(dim=0).values).argsort()[:_REFINED]]
    around = triangles[torch.isin(triangles, best).any(dim=1)]
    options = []
    for corners in around:
        weights = _closest_weights(points[:, corners], wanted)
        mixed = (points[:, corners] * weights[None, :, None]).sum(dim=1)
        error = (mixed - wanted).square().sum(dim=-1)
        options.append((float(error.mean() + error.median()), corners, weights))
    _, corners, weights = min(options, key=lambda option: option[0])
    return corners, weights


def _closest_weights(
    corners: Float[Tensor, "p 3 2"], wanted: Float[Tensor, "p 2"]
) -> Float[Tensor, " 3"]:
    """Barycentric weights of the least-squares point, kept inside the triangle."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    system = torch.stack([one.flatten(), other.flatten()], dim=1).double()
    target = (wanted - corners[:, 0]).flatten()[:, None].double()
    ridge = 1e-6 * torch.eye(2, dtype=torch.float64)
    free = torch.linalg.solve(system.T @ system + ridge, system.T @ target)[:, 0]
    weights = torch.cat([1 - free.sum()[None], free]).clamp_min(0)
    return (weights / weights.sum()).float()
