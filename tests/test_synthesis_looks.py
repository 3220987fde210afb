"""What a synthetic head looks like: drawn by the generator alone, and where it belongs."""

from dataclasses import replace

import pytest
import torch
from tiny_head import tiny_kit, tiny_map

from lipsync_core.landmarks import tracked
from lipsync_core.synthesis.appearance import Appearance
from lipsync_core.synthesis.backdrop import Backdrop, backdrop_picture
from lipsync_core.synthesis.camera import Camera
from lipsync_core.synthesis.facial_hair import FacialHair, hair_cover
from lipsync_core.synthesis.lighting import Lighting, developed
from lipsync_core.synthesis.rendering import render_head
from lipsync_core.synthesis.skin_detail import SkinDetail, noise
from lipsync_core.synthesis.surface import surface

PLAIN = Appearance(
    hairline=-9.0, shine=0.0, backdrop=Backdrop(colours=((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)))
)
CAMERA = Camera(view=30.0)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return tiny_kit(tmp_path_factory.mktemp("kit"))


def picture(kit, look, size=96):
    expression, pose = kit.expressions(), torch.zeros(1, 5)
    return render_head(
        kit, tiny_map(kit), torch.zeros(2), expression, pose, look, CAMERA, size
    )[0]  # fmt: skip


def pixel(kit, landmark, size=96, shift=(0, 0)):
    """(row, column) of a landmark of the neutral head, shifted by cm."""
    place = tiny_map(kit).landmarks(kit.neutral[None])[0][tracked((landmark,))]
    place = place + torch.tensor([[*shift, 0.0]])
    column, row = CAMERA.project(place, size)[0, :2].long().tolist()
    return row, column


def drawn(seed):
    return Appearance.draw(torch.Generator().manual_seed(seed))


def test_a_look_is_its_generators(kit):
    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    assert torch.equal(picture(kit, drawn(3), 48), picture(kit, drawn(3), 48))


def test_people_differ_in_all_that_is_drawn():
    people = [drawn(seed) for seed in range(60)]
    brightness = torch.tensor([sum(p.skin) / 3 for p in people])
    assert brightness.min() < 0.4
    assert brightness.max() > 0.65
    bearded = sum(p.facial_hair.chin > 0.3 for p in people)
    assert 10 < bearded < 45
    sides = torch.tensor([p.lighting.direction[0] for p in people])
    assert sides.min() < -1
    assert sides.max() > 1
    assert len({p.teeth for p in people}) == 60
    assert 0 < sum(p.detail.freckles > 0 for p in people) < 20


def test_pictures_of_drawn_people_are_colours(kit):
    for seed in range(3):
        shown = picture(kit, drawn(seed), 48)
        assert shown.isfinite().all()
        assert ((shown >= 0) & (shown <= 1)).all()


def test_the_lamps_side_is_the_bright_side(kit):
    row, column = pixel(kit, 4)
    for side in (-1.0, 1.0):
        light = Lighting(direction=(2 * side, 0.0, -0.5), ambient=0.2)
        shown = picture(kit, replace(PLAIN, lighting=light)).mean(dim=-1)
        left, right = (shown[row, column + step] for step in (-14, 14))
        assert (right - left) * side > 0.1


def test_a_coloured_lamp_colours_the_skin(kit):
    warm = picture(kit, replace(PLAIN, lighting=Lighting(colour=(1.0, 0.6, 0.3))))
    plain = picture(kit, PLAIN)
    row, column = pixel(kit, 4)
    assert warm[row, column, 2] / warm[row, column, 0] < 0.8 * (
        plain[row, column, 2] / plain[row, column, 0]
    )


def test_bright_light_is_squeezed_and_dark_light_kept():
    light = torch.tensor([0.0, 0.1, 0.4, 1.0, 2.0, 9.0])
    shown = developed(light)
    assert torch.allclose(shown[:3], light[:3], atol=1e-3)
    assert (shown.diff() > 0).all()
    assert shown.max() <= 1


def test_a_beard_darkens_the_chin_and_not_the_lips(kit):
    beard = FacialHair(moustache=1.0, chin=1.0, jaw=1.0, colour=(0.02, 0.02, 0.02))
    bearded, bare = (
        picture(kit, replace(PLAIN, facial_hair=hair)) for hair in (beard, FacialHair())
    )
    change = (bare - bearded).mean(dim=-1)
    row, column = pixel(kit, 199)
    assert change[row - 1 : row + 2, column - 2 : column + 3].mean() > 0.1
    for landmark in (17, 4, 168):
        row, column = pixel(kit, landmark, shift=(0, -0.3) if landmark == 17 else (0, 0))
        assert change[row, column].abs() < 0.05


def test_hair_grows_where_it_is_told(kit):
    landmarks = tiny_map(kit).landmarks(kit.neutral[None])[0]
    chin, lip = landmarks[tracked((199,))], landmarks[tracked((0,))] + torch.tensor((0, -0.6, 0))
    places = torch.cat([chin, lip, landmarks[tracked((4,))]])
    goatee = hair_cover(places, landmarks, FacialHair(chin=0.8))
    moustache = hair_cover(places, landmarks, FacialHair(moustache=0.8))
    assert goatee[0] > 0.5
    assert goatee[1:].max() < 0.1
    assert moustache[1] > 0.4
    assert moustache[[0, 2]].max() < 0.1


def test_detail_is_finer_than_vertices_and_only_on_skin(kit):
    rough = replace(PLAIN, detail=SkinDetail(pores=0.3, blotches=0.05, creases=0.3, seed=1))
    change = (picture(kit, rough) - picture(kit, PLAIN)).abs().amax(dim=-1)
    row, column = pixel(kit, 4)
    assert change[row - 10 : row + 10, column - 10 : column + 10].mean() > 0.01
    assert change[0, 0] == 0
    other = replace(rough, detail=replace(rough.detail, seed=2))
    assert not torch.equal(picture(kit, rough), picture(kit, other))


def test_noise_repeats_without_a_seam_and_has_unit_variance():
    corners = torch.randint(0, 32, (4000, 3), generator=torch.Generator().manual_seed(0)).float()
    values = noise(corners, 5)
    assert values.mean(dim=0).abs().max() < 0.1
    assert (values.std(dim=0) - 1).abs().max() < 0.1
    before, after = (noise(torch.full((1, 3), 32.0) + away, 5) for away in (-1e-4, 1e-4))
    assert torch.allclose(before, after, atol=0.01)
    assert torch.allclose(noise(corners + 0.3, 5), noise(corners + 32.3, 5), atol=1e-3)


def test_covers_and_colours_are_parts(kit):
    for seed in range(5):
        look = surface(kit, tiny_map(kit), drawn(seed))
        for values in (look.cover, look.albedo):
            assert ((values >= 0) & (values <= 1)).all()
        assert (look.cover[look.inside > 0] == 0).all()


def test_a_backdrop_is_the_same_at_every_size():
    backdrop = replace(Backdrop.draw(torch.Generator().manual_seed(1), PLAIN.backdrop.colours),
                       things=9, texture=0.0)  # fmt: skip
    large, small = backdrop_picture(backdrop, 128), backdrop_picture(backdrop, 64)
    shrunk = large.view(64, 2, 64, 2, 3).mean(dim=(1, 3))
    assert (shrunk - small).abs().mean() < 0.02
    assert large.std() > 0.02
