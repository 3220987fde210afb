"""A head into pictures: vertices, normals, rasterised triangles, light, background."""

from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Float, Int
from torch import Tensor

from .appearance import Appearance
from .backdrop import backdrop_picture
from .camera import Camera, posed
from .face_kit import BACK_HEAD, EYES, GUMS, SKIN, TEETH, FaceKit
from .landmark_map import LandmarkMap
from .lighting import shade
from .rasterising import rasterise
from .skin_detail import with_detail
from .surface import Surface, surface

SUPERSAMPLING = 2
_DRAWN = (SKIN, BACK_HEAD, GUMS, TEETH, *EYES)


@dataclass(frozen=True)
class Scene:
    """All of a head's looks that does not change over time."""

    triangles: Int[Tensor, "f 3"]
    surface: Surface
    appearance: Appearance
    lips: Int[Tensor, " c"]
    """Vertices about the mouth's opening, for how deep a thing lies inside."""


def make_scene(kit: FaceKit, landmark_map: LandmarkMap, appearance: Appearance) -> Scene:
    """A head dressed up for `draw_head`."""
    landmark_map.check(kit)
    triangles = torch.cat([kit.triangles(name) for name in _DRAWN])
    lips = landmark_map.vertices[20:40].flatten().unique()
    return Scene(triangles, surface(kit, landmark_map, appearance), appearance, lips)


def render_head(
    kit: FaceKit,
    landmark_map: LandmarkMap,
    identity: Float[Tensor, " n"],
    expression: Float[Tensor, "t e"],
    pose: Float[Tensor, "t 5"],
    appearance: Appearance,
    camera: Camera,
    size: int,
) -> Float[Tensor, "t size size 3"]:
    """Pictures of a person, RGB in [0, 1]; `pose` has the columns of `camera.POSE`."""
    scene = make_scene(kit, landmark_map, appearance)
    vertices = kit.vertices(identity, expression)
    return torch.stack(
        [draw_head(scene, v, p, camera, size) for v, p in zip(vertices, pose, strict=True)]
    )


def draw_head(
    scene: Scene,
    vertices: Float[Tensor, "v 3"],
    pose: Float[Tensor, " p"],
    camera: Camera,
    size: int,
) -> Float[Tensor, "size size 3"]:
    """One picture of a head whose vertices, in its own axes, are given."""
    triangles, look = scene.triangles, scene.surface
    normals = vertex_normals(vertices, triangles)
    grown = vertices + look.hair[:, None] * normals
    world = posed(grown[None], pose[None])[0]
    normals = vertex_normals(world, triangles)
    depth = vertices[:, 2] - vertices[scene.lips, 2].mean()
    light_depth = scene.appearance.lighting.mouth_depth
    lit = torch.where(look.inside > 0, torch.exp(-depth.clamp_min(0) / light_depth), 1.0)
    values = torch.cat(
        [look.albedo, normals, world, look.rest, look.cover, look.gloss[:, None], lit[:, None]],
        dim=1,
    )
    large = size * SUPERSAMPLING
    raster = rasterise(camera.project(world, large), triangles, large, large)
    colours = pixel_colours(raster.interpolate(values, triangles), camera, scene.appearance)
    picture = backdrop_picture(scene.appearance.backdrop, large).clone()
    picture[raster.covered] = colours
    shrunk = reduce(picture, "(h n) (w m) c -> h w c", "mean", n=SUPERSAMPLING, m=SUPERSAMPLING)
    return shrunk.clamp(0, 1)


def pixel_colours(
    values: Float[Tensor, "n 17"], camera: Camera, appearance: Appearance
) -> Float[Tensor, "n 3"]:
    """Colours of surface points with what is finer than vertices, in the light."""
    albedo, normals, places, rest, cover, gloss, lit = values.split([3, 3, 3, 3, 3, 1, 1], dim=1)
    normals = torch.nn.functional.normalize(normals, dim=1)
    albedo, normals = with_detail(
        albedo, normals, rest, cover, appearance.detail, appearance.facial_hair
    )
    shine = appearance.shine * gloss
    return shade(albedo, normals, places, shine, camera, appearance.lighting) * lit


def vertex_normals(
    vertices: Float[Tensor, "v 3"], triangles: Int[Tensor, "f 3"]
) -> Float[Tensor, "v 3"]:
    """Unit normals, outwards, averaged over the triangles about a vertex by their area."""
    corners = vertices[triangles]
    # Corners run counter-clockwise as seen from outside, with y down: the cross product points out.
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = torch.zeros_like(vertices)
    total.index_add_(0, triangles.T.reshape(-1), normal.repeat(3, 1))
    return torch.nn.functional.normalize(total, dim=1)
