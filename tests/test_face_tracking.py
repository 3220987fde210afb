"""Faces in clips whose truth is known: a portrait moved, hidden, cut and doubled by hand."""

import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from synthetic_face import MOUTH_CENTRE, POINTS, portrait, sway, syllables, talking_face

from lipsync_core import weights
from lipsync_core.errors import ModelError, NoFaceError
from lipsync_core.face.alignment import crop_faces, transform
from lipsync_core.face.choice import FaceChoice
from lipsync_core.face.detection import suppress
from lipsync_core.face.following import FaceFollower, Person
from lipsync_core.face.landmarking import FaceLandmarker
from lipsync_core.face.tracking import track_face
from lipsync_core.landmarks import MOVING, opening, tracked
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.tensor_clip import TensorClip

FACE = (223.0, 118.0)
"""The middle of the portrait's face; it is about 110 pixels wide."""


@pytest.fixture(scope="module")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker.load(weights.find(weights.FACE_LANDMARKER))


def placed(x: float, y: float, scale: float = 0.8, degrees: float = 0.0) -> np.ndarray:
    """portrait_to_frame with the middle of the face at x, y."""
    angle = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, np.array([x, y]) - linear @ FACE])


def draw(frame: np.ndarray, portrait_to_frame: np.ndarray, head_only: bool = False) -> np.ndarray:
    """The frame with the portrait, or only the head of it, drawn in."""
    matrix = portrait_to_frame.copy()
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    size = frame.shape[1], frame.shape[0]
    scale = np.sqrt(np.linalg.det(matrix[:, :2]))
    picture = (
        cv2.GaussianBlur(portrait(), (0, 0), max(0.01, 0.5 * (1 / scale**2 - 1) ** 0.5))
        if scale < 1
        else portrait()
    )
    mask = np.zeros(portrait().shape[:2], np.float32)
    if head_only:
        cv2.ellipse(mask, (223, 110), (75, 95), 0, 0, 360, 1.0, -1)
    else:
        mask[:] = 1
    mask = cv2.warpAffine(mask, matrix, size)[..., None]
    drawn = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return (frame * (1 - mask) + drawn * mask).astype(np.uint8)


def clip_of(frames: list[np.ndarray], fps: int = 25) -> TensorClip:
    return TensorClip(torch.from_numpy(np.stack(frames)).float() / 255, Fraction(fps))


def empty(height: int = 240, width: int = 320) -> np.ndarray:
    return np.full((height, width, 3), (90, 100, 110), np.uint8)


def hide(frame: np.ndarray, x: float, y: float, radius: int = 75) -> np.ndarray:
    return cv2.circle(frame.copy(), (round(x), round(y)), radius, (90, 100, 110), -1)


def portrait_in_crop(track, portrait_to_frame: list[np.ndarray]) -> torch.Tensor:
    """Where eyes, nose and mouth of the portrait come to lie in the crop of each frame."""
    points = torch.tensor([*POINTS.values(), MOUTH_CENTRE]).double()
    points = points.expand(len(portrait_to_frame), -1, -1)
    in_frame = transform(torch.from_numpy(np.stack(portrait_to_frame)), points)
    return transform(track.frame_to_crop.double(), in_frame)


def spread(points: torch.Tensor) -> float:
    """The farthest that any point is from its mean over time, in pixels."""
    return (points - points.mean(dim=0)).norm(dim=-1).max().item()


def test_moving_turning_and_scaling_the_face_moves_the_matrix_and_not_the_crop(landmarker):
    places = [
        placed(
            160 + 50 * np.sin(t / 4), 120 + 12 * np.cos(t / 3), 0.7 + 0.012 * t, 14 * np.sin(t / 5)
        )
        for t in range(24)
    ]
    clip = clip_of([draw(empty(), place) for place in places])
    track = track_face(landmarker, clip, crop_size=128)
    assert track.visible.all() and track.cuts == ()
    assert spread(portrait_in_crop(track, places)) < 1.2
    crops = crop_faces(clip.frames(0, 24), track.frame_to_crop, 128)[:, 20:120, 24:104]
    assert (crops - crops.mean(dim=0)).abs().mean() < 0.02


def test_the_crop_shows_the_face_at_its_fixed_place(landmarker):
    track = track_face(landmarker, clip_of([draw(empty(), placed(170, 110))]), crop_size=128)
    points = portrait_in_crop(track, [placed(170, 110)])[0]
    eyes, nose = (points[0] + points[1]) / 2, points[5]
    assert (eyes - torch.tensor([64.0, 0.58 / 2.1 * 128])).norm() < 5
    assert eyes[1] < nose[1] < points[6][1] < 128
    assert (points[1] - points[0]).norm() == pytest.approx(128 / 2.1, rel=0.08)


def test_a_gap_is_bridged_and_marked(landmarker):
    places = [placed(120 + 4 * t, 120) for t in range(18)]
    frames = [draw(empty(), place) for place in places]
    for t in range(6, 11):
        frames[t] = hide(frames[t], 120 + 4 * t, 120)
    track = track_face(landmarker, clip_of(frames), crop_size=128)
    assert (~track.visible).nonzero()[:, 0].tolist() == [6, 7, 8, 9, 10]
    assert track.cuts == ()
    assert spread(portrait_in_crop(track, places)) < 2


def test_a_cut_is_neither_bridged_nor_smoothed_across(landmarker):
    first, second = placed(90, 120, 0.6, 5), placed(220, 110, 0.9, -8)
    places = [first] * 9 + [second] * 9
    wall = np.full_like(empty(), 200)
    frames = [draw(wall if i < 9 else empty(), p, head_only=True) for i, p in enumerate(places)]
    frames[8] = wall
    track = track_face(landmarker, clip_of(frames), crop_size=128)
    assert track.cuts == (9,)
    assert track.visible.tolist() == [True] * 8 + [False] + [True] * 9
    # Held, not moved towards what comes after the cut.
    assert spread(portrait_in_crop(track, places)[:9]) < 0.6
    assert spread(portrait_in_crop(track, places)) < 1.5


LEFT, RIGHT = (85.0, 130.0), (235.0, 120.0)


def two_people(left_scale: float = 0.65, right_scale: float = 0.8) -> np.ndarray:
    frame = draw(empty(), placed(*LEFT, left_scale), head_only=True)
    return draw(frame, placed(*RIGHT, right_scale), head_only=True)


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (FaceChoice(), RIGHT),
        (FaceChoice(index=0), LEFT),
        (FaceChoice(index=1), RIGHT),
        (FaceChoice(point=(100.0, 100.0)), LEFT),
        (FaceChoice(point=(230.0, 150.0)), RIGHT),
    ],
)
def test_the_face_that_was_chosen_is_tracked(landmarker, choice, wanted):
    track = track_face(landmarker, clip_of([two_people()] * 3), choice)
    middle = track.landmarks[..., :2].mean(dim=(0, 1))
    assert (middle - torch.tensor(wanted)).norm() < 30


def test_a_choice_that_is_not_there_is_an_error(landmarker):
    with pytest.raises(NoFaceError, match="choose another"):
        track_face(landmarker, clip_of([two_people()] * 2), FaceChoice(index=2))


@pytest.mark.parametrize("wrong", [{"index": -1}, {"index": 0, "point": (1.0, 2.0)}])
def test_a_choice_is_one_thing(wrong):
    with pytest.raises(ValueError):
        FaceChoice(**wrong)


def test_a_hidden_face_is_not_found_again_on_a_neighbour(landmarker):
    frames = [two_people(0.8, 0.8) for _ in range(16)]
    for t in range(4, 12):
        frames[t] = hide(frames[t], *RIGHT)
    track = track_face(landmarker, clip_of(frames), FaceChoice(index=1))
    assert track.visible.tolist() == [True] * 4 + [False] * 8 + [True] * 4
    assert (track.landmarks[..., 0].mean(dim=1) - RIGHT[0]).abs().max() < 20


def test_people_who_cross_keep_who_they_are(landmarker):
    """The chosen face walks behind the other and comes out on the far side."""
    frames = []
    for t in range(30):
        frame = draw(empty(240, 480), placed(110 + 9 * t, 120, 0.7), head_only=True)
        frames.append(draw(frame, placed(240, 125, 0.8), head_only=True))
    track = track_face(landmarker, clip_of(frames), FaceChoice(index=0))
    astray = track.landmarks[..., 0].mean(dim=1) - (110 + 9 * torch.arange(30))
    assert track.visible[:5].all() and track.visible[-5:].all()
    assert astray[track.visible].abs().max() < 35


def test_two_people_are_never_followed_to_one_face(landmarker):
    """It belongs to whose last place is nearer."""
    frame = draw(empty(), placed(160, 120), head_only=True)
    face = landmarker.find(frame)[0]
    beside = replace(face, landmarks=face.landmarks + np.array([25.0, 0, 0]))
    follower = FaceFollower(landmarker, FaceChoice())
    follower.frames, follower.chosen, follower.others = 1, Person(face), [Person(beside)]
    assert follower.step(frame) is not None and follower.others[0].missed == 1
    follower.chosen, follower.others = Person(beside), [Person(face)]
    assert follower.step(frame) is None and follower.others[0].missed == 0


@pytest.mark.parametrize("place", [(300, 250), (1500, 880)])
def test_a_face_of_6_percent_of_the_width_is_found_in_1080p(landmarker, place):
    scale = 0.06 * 1920 / 110
    # Coarse texture round it, as a room has.
    room = np.random.default_rng(0).integers(60, 140, (27, 48, 3), dtype=np.uint8)
    room = cv2.resize(room, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    frame = draw(room, placed(*place, scale), head_only=True)
    track = track_face(landmarker, clip_of([frame]))
    assert (track.landmarks[0, :, :2].mean(dim=0) - torch.tensor(place)).norm() < 40


def test_a_fold_of_clothes_is_no_second_face(landmarker):
    frame = draw(empty(512, 512), placed(250, 170, 1.45))
    assert landmarker.find_small(frame, known=landmarker.find(frame)), "it looks a little like one"
    assert len(landmarker.find_all(frame)) == 1
    with pytest.raises(NoFaceError, match="from 0 to 0; choose another"):
        track_face(landmarker, clip_of([frame]), FaceChoice(index=1))


def test_a_clip_without_a_face_says_how_many_frames_were_searched(landmarker):
    with pytest.raises(NoFaceError, match="any of the 3 frames of 320 x 240"):
        track_face(landmarker, clip_of([empty()] * 3))


def test_a_face_that_leaves_the_frame_is_not_visible(landmarker):
    places = [placed(160 + 12 * t, 120) for t in range(16)]
    track = track_face(landmarker, clip_of([draw(empty(), p, head_only=True) for p in places]))
    assert track.visible[:6].all() and not track.visible[-4:].any()
    lips = track.landmarks[track.visible][..., 0]
    assert lips.amax() < 330


def test_the_face_may_come_late_and_go_early(landmarker):
    frames = [empty()] * 4 + [draw(empty(), placed(160, 120), head_only=True)] * 6 + [empty()] * 4
    track = track_face(landmarker, clip_of(frames))
    assert track.visible.tolist() == [False] * 4 + [True] * 6 + [False] * 4
    assert track.frame_to_crop.isfinite().all()


def test_pictures_are_read_once_in_small_pieces(landmarker):
    reads: list[tuple[int, int]] = []

    class Recorded(TensorClip):
        def frames(self, start: int, stop: int):
            reads.append((start, stop))
            return super().frames(start, stop)

    picture = torch.from_numpy(draw(empty(720, 1280), placed(600, 300, 1.5))).float() / 255
    clip = Recorded(picture[None].expand(7, -1, -1, -1), Fraction(25))
    track_face(landmarker, clip)
    assert [start for start, _ in reads] == [0] + [stop for _, stop in reads[:-1]]
    assert reads[-1][1] == 7
    assert max(stop - start for start, stop in reads) <= 4


def test_progress_reaches_the_total_and_may_cancel(landmarker):
    class Cancelled(BaseException):
        pass

    clip = clip_of([draw(empty(), placed(160, 120))] * 5)
    seen = []
    track_face(landmarker, clip, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(1, 6)]

    def cancel(done: int, total: int) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        track_face(landmarker, clip, on_progress=cancel)


def test_a_missing_or_damaged_landmarker_is_refused(tmp_path):
    whole = weights.find(weights.FACE_LANDMARKER).read_bytes()
    with pytest.raises(ModelError, match="no face landmarker"):
        FaceLandmarker.load(tmp_path / "absent.task")
    cut = tmp_path / "cut.task"
    cut.write_bytes(whole[: len(whole) // 2])
    altered = tmp_path / "altered.task"
    altered.write_bytes(whole[:400_000] + b"\0\1\2\3" * 64 + whole[400_256:])
    other = tmp_path / "other.task"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("something_else.tflite", b"x")
    nonsense = tmp_path / "nonsense.task"
    with zipfile.ZipFile(nonsense, "w") as archive:
        archive.writestr("face_detector.tflite", b"no network")
        archive.writestr("face_landmarks_detector.tflite", b"no network")
    for path in (cut, altered, other, nonsense):
        with pytest.raises(ModelError, match="get it again"):
            FaceLandmarker.load(path)


def test_overlapping_detections_become_one_in_their_middle(landmarker):
    found = landmarker.detector.detect(two_people(0.8, 0.8))
    assert len(found) == 2
    doubled = suppress([*found, *found])
    assert len(doubled) == 2
    for before, after in zip(found, doubled, strict=True):
        assert after.centre == pytest.approx(before.centre)
        assert after.size == pytest.approx(before.size)


@pytest.fixture(scope="module")
def talking(landmarker):
    """The portrait talking for 2.4 s: the clip's track and the truth."""
    places = sway(60, 200, 240, 0.9, zoom=0.2)
    face = talking_face(syllables(60), places, 200, 240)
    return face, track_face(landmarker, TensorClip(face.frames, face.fps), crop_size=128)


def test_the_matrix_does_not_move_with_the_mouth(talking):
    face, track = talking
    places = [place.double().numpy() for place in face.portrait_to_frame]
    points = portrait_in_crop(track, places)
    assert spread(points) < 1.2
    moved = points[:, -1, 1] - points[:, -1, 1].mean()
    gap = face.opening - face.opening.mean()
    # In crop pixels per whole eye distance of opening (61 pixels).
    assert abs((moved * gap).sum() / gap.square().sum()) < 3


def test_the_neutral_mouth_is_the_resting_one(talking):
    face, track = talking
    assert opening(track.neutral) < face.opening.quantile(0.3) + 0.05


def test_halves_of_a_clip_have_the_same_neutral(talking, landmarker):
    face, _ = talking
    first, second = (
        track_face(landmarker, TensorClip(face.frames[half], face.fps)).neutral[tracked(MOVING)]
        for half in (slice(0, 30), slice(30, 60))
    )
    assert (first - second).norm(dim=-1).mean() < 0.02


def test_the_neutral_does_not_depend_on_where_and_how_large_the_face_is(talking, landmarker):
    face, track = talking
    angle = np.deg2rad(15)
    linear = 0.7 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([linear, [50, 0]])
    frames = [cv2.warpAffine(frame.numpy(), matrix, (240, 240)) for frame in face.frames]
    moved = track_face(landmarker, TensorClip(torch.from_numpy(np.stack(frames)), face.fps))
    difference = (moved.neutral - track.neutral)[tracked(MOVING)]
    assert difference.norm(dim=-1).mean() < 0.03


SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no clips at {SHARED}")
    return SHARED


@pytest.mark.shared
def test_clips_of_one_person_have_nearly_one_neutral(landmarker, shared_data):
    paths = sorted((shared_data / "grid_s1" / "clips").iterdir())[::300]
    neutrals = torch.stack([track_face(landmarker, open_clip(path)).neutral for path in paths])
    away = (neutrals - neutrals.mean(dim=0))[:, tracked(MOVING)]
    assert away.norm(dim=-1).square().mean().sqrt() < 0.02
    assert opening(neutrals).std() < 0.005


@pytest.mark.shared
def test_a_cut_between_two_addresses_is_found_and_none_within_them(landmarker, shared_data):
    first, second = (
        open_clip(shared_data / "white_house" / f"address_{number}.mp4").frames(10, 26)
        for number in (1, 2)
    )
    track = track_face(landmarker, TensorClip(torch.cat([first, second]), Fraction(30000, 1001)))
    assert track.cuts == (16,)
    assert track.visible.all()
