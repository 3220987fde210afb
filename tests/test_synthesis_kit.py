"""Face kits are read or refused; heads bend, turn and are drawn where geometry says."""

import numpy as np
import pytest
import torch
from tiny_head import NAMES, arrays, tiny_kit, tiny_map

from lipsync_core.errors import ModelError
from lipsync_core.landmarks import MOVING, STABLE, TRACKED, opening, tracked
from lipsync_core.synthesis.appearance import Appearance
from lipsync_core.synthesis.backdrop import Backdrop
from lipsync_core.synthesis.camera import Camera, posed
from lipsync_core.synthesis.face_kit import SKIN, load_face_kit
from lipsync_core.synthesis.fitting import fit_landmark_map
from lipsync_core.synthesis.landmark_map import load_landmark_map, save_landmark_map
from lipsync_core.synthesis.rasterising import rasterise
from lipsync_core.synthesis.rendering import render_head, vertex_normals

SQUARE = torch.tensor([[0, 1, 2], [0, 2, 3]])


def square(left, top, right, bottom, depth):
    """Corners counter-clockwise on the screen."""
    corners = [(left, top), (left, bottom), (right, bottom), (right, top)]
    return torch.tensor([(x, y, depth) for x, y in corners])


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return tiny_kit(tmp_path_factory.mktemp("kit"))


def test_a_kit_has_the_axes_of_a_picture_and_adds_its_shapes(kit):
    contents = arrays()
    assert torch.allclose(kit.neutral[:, 1], -torch.from_numpy(contents["V0"][:, 1]))
    weights = kit.expressions(jawOpen=0.5, mouthPucker=1.0)
    moved = kit.vertices(torch.tensor([2.0]), weights)[0]
    wanted = contents["V0"] + 2 * contents["I"][0].astype(np.float32)
    wanted += 0.5 * contents["X"][0].astype(np.float32) + contents["X"][2].astype(np.float32)
    assert torch.allclose(moved, torch.from_numpy(wanted) * torch.tensor((1.0, -1, -1)), atol=1e-5)
    only = torch.tensor([7, 3])
    assert torch.allclose(kit.vertices(torch.tensor([2.0]), weights, only)[0], moved[only])


def test_wrong_weights_are_refused(kit):
    with pytest.raises(ValueError, match="expression weights"):
        kit.vertices(torch.zeros(2), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="modes"):
        kit.base(torch.zeros(3))
    with pytest.raises(ValueError, match="no expression"):
        kit.expression_index("wink")


@pytest.mark.parametrize(
    "change",
    [
        {"X": None},
        {"V0": np.zeros((4, 2), np.float32)},
        {"F": np.full((9, 4), 10**6, np.int32)},
        {"mat": np.array(["M_Face"])},
        {"ex": np.array(["jawOpen"])},
        {"I": np.full((2, 45 * 61, 3), np.nan, np.float32)},
        {"V0": np.zeros((45 * 61, 3), np.int32)},
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, change):
    path = tmp_path / "kit.npz"
    contents = {k: v for k, v in (arrays() | change).items() if v is not None}
    np.savez(path, **contents)
    with pytest.raises(ModelError):
        load_face_kit(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no face kit"):
        load_face_kit(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "bare.npy", np.zeros(3))
    np.savez(tmp_path / "pickle.npz", **arrays() | {"mat": np.array([{}], dtype=object)})
    for name in ("text.npz", "bare.npy", "pickle.npz"):
        with pytest.raises(ModelError):
            load_face_kit(tmp_path / name)


def test_the_nearer_triangle_is_seen_whatever_the_order():
    near, far = square(2.0, 2.0, 8.0, 8.0, 1.0), square(0.0, 0.0, 12.0, 12.0, 2.0)
    for points, near_first in ((torch.cat([near, far]), True), (torch.cat([far, near]), False)):
        raster = rasterise(points, torch.cat([SQUARE, SQUARE + 4]), 12, 12)
        in_front = (raster.triangle < 2) if near_first else (raster.triangle >= 2)
        wanted = torch.zeros(12, 12, dtype=torch.bool)
        wanted[2:8, 2:8] = True
        assert raster.covered.all()
        assert torch.equal(in_front, wanted)


def test_neighbours_leave_no_gap_and_weights_say_where_a_pixel_is():
    generator = torch.Generator().manual_seed(0)
    grid = torch.stack(
        torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="xy"), dim=-1
    ).reshape(-1, 2)
    inner = ((grid > 0) & (grid < 8)).all(dim=1)
    grid[inner] += 0.6 * (torch.rand(int(inner.sum()), 2, generator=generator) - 0.5)
    points = torch.cat([grid * 8, torch.ones(81, 1)], dim=1)
    number = torch.arange(81).view(9, 9)
    quads = torch.stack(
        [number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], dim=-1
    ).view(-1, 4)
    triangles = torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    raster = rasterise(points, triangles, 64, 64)
    assert raster.covered.all()
    places = raster.interpolate(points, triangles)[:, :2]
    centres = raster.covered.nonzero().flip(1) + 0.5
    assert torch.allclose(places, centres, atol=1e-3)


def test_a_disc_covers_its_area_and_the_back_is_not_seen():
    angle = torch.arange(200) / 200 * 2 * torch.pi
    rim = torch.stack([50 + 40 * angle.cos(), 50 - 40 * angle.sin(), torch.ones(200)], dim=1)
    points = torch.cat([torch.tensor([[50.0, 50.0, 1.0]]), rim])
    fan = torch.tensor([(0, i + 1, (i + 1) % 200 + 1) for i in range(200)])
    covered = rasterise(points, fan, 100, 100).covered
    assert int(covered.sum()) == pytest.approx(torch.pi * 1600, rel=0.005)
    assert not rasterise(points, fan.flip(1), 100, 100).covered.any()
    assert torch.equal(rasterise(points, fan.flip(1), 100, 100, two_sided=True).covered, covered)


def test_triangles_outside_the_picture_are_cut():
    raster = rasterise(square(-50.0, -50.0, 4.0, 6.0, 1.0), SQUARE, 10, 10)
    wanted = torch.zeros(10, 10, dtype=torch.bool)
    wanted[:6, :4] = True
    assert torch.equal(raster.covered, wanted)
    assert not rasterise(square(20.0, 20.0, 30.0, 30.0, 1.0), SQUARE, 10, 10).covered.any()


def test_the_camera_projects_as_a_pinhole():
    camera = Camera(distance=50.0, view=20.0, centre=(1.0, 2.0))
    points = torch.tensor([[1.0, 2.0, 0.0], [11.0, 2.0, 0.0], [11.0, 12.0, 50.0]])
    projected = camera.project(points, 100)
    assert torch.allclose(projected[:, :2], torch.tensor([[50.0, 50], [100, 50], [75, 75]]))
    assert projected[2, 2] > projected[0, 2]


def test_a_head_turns_to_where_its_pose_says():
    nose = torch.tensor([[[0.0, 0.0, -10.0]]])
    right = posed(nose, torch.tensor([[20.0, 0, 0, 0, 0]]))[0, 0]
    down = posed(nose, torch.tensor([[0.0, 20, 0, 0, 0]]))[0, 0]
    moved = posed(nose, torch.tensor([[0.0, 0, 0, 3, -2]]))[0, 0]
    ear = posed(torch.tensor([[[8.0, 0.0, 0.0]]]), torch.tensor([[0.0, 0, 20, 0, 0]]))[0, 0]
    assert right[0] > 2
    assert down[1] > 2
    assert torch.allclose(moved, torch.tensor((3.0, -2.0, -10.0)), atol=1e-5)
    assert ear[1] > 2


def test_normals_point_out_of_the_face(kit):
    normals = vertex_normals(kit.neutral, kit.triangles(SKIN))
    assert (normals[:, 2] < 0).all()
    assert torch.allclose(normals.norm(dim=1), torch.ones(len(normals)), atol=1e-4)


def test_a_rendered_head_stands_where_it_is_projected(kit):
    landmark_map, camera = tiny_map(kit), Camera(view=40.0)
    backdrop = Backdrop(colours=((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)))
    look = Appearance(backdrop=backdrop, hairline=-9.0)
    expression = torch.cat([kit.expressions(), kit.expressions(jawOpen=1.0)])
    pictures = render_head(
        kit, landmark_map, torch.zeros(2), expression, torch.zeros(2, 5), look, camera, 64
    )
    assert pictures.shape == (2, 64, 64, 3)
    assert ((pictures >= 0) & (pictures <= 1)).all()
    head = (pictures - torch.tensor((0.0, 0.0, 1.0))).abs().amax(dim=-1) > 0.1
    rows, columns = head[0].nonzero(as_tuple=True)
    outline = camera.project(kit.neutral, 64)
    assert float(rows.min()) == pytest.approx(float(outline[:, 1].min()), abs=1.5)
    assert float(rows.max()) == pytest.approx(float(outline[:, 1].max()), abs=1.5)
    assert float(columns.min()) == pytest.approx(float(outline[:, 0].min()), abs=1.5)
    assert head[1].nonzero()[:, 0].max() > rows.max() + 2


def test_lips_are_redder_than_the_skin_beside_them(kit):
    landmark_map = tiny_map(kit)
    look = Appearance(lips=(0.9, 0.1, 0.1), skin=(0.5, 0.5, 0.5), hairline=-9.0)
    picture = render_head(
        kit, landmark_map, torch.zeros(2), kit.expressions(), torch.zeros(1, 5), look,
        Camera(view=30.0), 96,
    )[0]  # fmt: skip
    places = Camera(view=30.0).project(landmark_map.landmarks(kit.neutral[None]), 96)[0]
    inner = places[tracked((13, 14))].mean(dim=0).long()
    lip, cheek = picture[inner[1], inner[0]], picture[inner[1], inner[0] + 20]
    assert lip[0] - lip[1] > cheek[0] - cheek[1] + 0.2


def test_the_map_is_found_again_from_pictures(kit):
    """A finder that answers with the true places, half a pixel off: the map comes out as it is."""
    truth = tiny_map(kit)
    generator = torch.Generator().manual_seed(0)
    shown = []

    def render(vertices, camera, size):
        shown.append(camera.project(vertices, size))
        return torch.zeros(size, size, 3)

    def find(picture):
        found = torch.zeros(478, 2)
        noise = 0.5 * torch.randn(len(TRACKED), 2, generator=generator)
        found[list(TRACKED)] = truth.landmarks(shown[-1][None])[0, :, :2] + noise
        return found

    expressions = ({"jawOpen": 0.2}, {"jawOpen": 0.5}, {"jawOpen": 0.3, "mouthPucker": 0.5})
    fitted = fit_landmark_map(kit, find, render, torch.zeros(1, 2), expressions=expressions)
    away = (fitted.landmarks(kit.neutral[None]) - truth.landmarks(kit.neutral[None])).norm(dim=-1)
    assert float(away.max()) < 0.25
    opened = kit.vertices(torch.zeros(2), kit.expressions(jawOpen=0.6))
    assert torch.allclose(
        opening(fitted.landmarks(opened)), opening(truth.landmarks(opened)), atol=0.2
    )


def test_a_map_survives_its_file_and_refuses_another_head(kit, tmp_path):
    landmark_map = tiny_map(kit)
    save_landmark_map(tmp_path / "map.safetensors", landmark_map)
    again = load_landmark_map(tmp_path / "map.safetensors")
    assert torch.equal(again.vertices, landmark_map.vertices)
    again.check(kit)
    with pytest.raises(ModelError, match="landmark map was made for"):
        load_landmark_map().check(kit)
    with pytest.raises(ModelError, match="no landmark map"):
        load_landmark_map(tmp_path / "absent.safetensors")


def test_landmarks_of_expressions_equal_those_of_whole_heads(kit):
    landmark_map = tiny_map(kit)
    weights = torch.rand(3, len(NAMES), generator=torch.Generator().manual_seed(0))
    identity = torch.tensor([1.0, -1.0])
    whole = landmark_map.landmarks(kit.vertices(identity, weights))
    assert torch.allclose(landmark_map.of_expressions(kit, identity, weights), whole, atol=1e-5)
    assert len(MOVING) + len(STABLE) == whole.shape[1]
