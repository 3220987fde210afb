"""Faces found by another node take the place of our own tracking, and say what they lack."""

import numpy as np
import pytest
import torch
from test_face_tracking import LEFT, RIGHT, clip_of, hide, two_people

from lipsync_core import weights
from lipsync_core.errors import NoFaceError
from lipsync_core.face.alignment import transform
from lipsync_core.face.choice import FaceChoice
from lipsync_core.face.drawing import draw_track
from lipsync_core.face.given_faces import GivenFaces, read_given_faces
from lipsync_core.face.landmarking import Face, FaceLandmarker
from lipsync_core.face.tracking import track_face, track_with

COUNT = 6


@pytest.fixture(scope="module")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker.load(weights.find(weights.FACE_LANDMARKER))


@pytest.fixture(scope="module")
def clip():
    frames = [two_people(0.8, 0.8) for _ in range(COUNT)]
    frames[2:4] = [hide(frame, *RIGHT) for frame in frames[2:4]]
    return clip_of(frames)


@pytest.fixture(scope="module")
def given(landmarker, clip) -> dict:
    """As the core gives them: the same faces, right before left, in the network's own pixels."""
    frames = []
    for picture in (255 * clip.frames(0, COUNT)).round().byte().numpy():
        faces = sorted(landmarker.find(picture), key=lambda face: -face.centre[0])
        frames.append([as_the_core_gives(face) for face in faces])
    return {"frames": frames, "image_size": (clip.height, clip.width), "connection_sets": {}}


def as_the_core_gives(face: Face) -> dict:
    """Turned by a third of a circle and 256 pixels wide, as the network sees it."""
    cos, sin = np.cos(2.0), np.sin(2.0)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    own = (face.landmarks - face.landmarks.mean(axis=0)) @ turn.T * (256 / face.size) + 128
    own[:, 2] = face.landmarks[:, 2] * 256 / face.size
    flat = face.landmarks[:, :2].astype(np.float32)
    logit = float(np.log(face.presence / (1 - face.presence))) if face.presence < 1 else 20.0
    return {"landmarks_xy": flat, "landmarks_3d": own.astype(np.float32), "presence": logit}


@pytest.mark.parametrize(
    ("choice", "wanted"), [(FaceChoice(index=0), LEFT), (FaceChoice(point=RIGHT), RIGHT)]
)
def test_given_faces_are_followed_as_our_own(landmarker, clip, given, choice, wanted):
    ours = track_face(landmarker, clip, choice)
    track = track_with(GivenFaces(read_given_faces(given, clip), choice), clip)
    assert torch.equal(track.visible, ours.visible)
    assert track.visible.tolist() == [True, True, wanted is LEFT, wanted is LEFT, True, True]
    assert (track.landmarks[..., :2].mean(dim=(0, 1)) - torch.tensor(wanted)).norm() < 30
    assert (track.landmarks - ours.landmarks)[track.visible].abs().max() < 1.5, "depth too"
    points = ours.landmarks[..., :2].double()
    apart = transform(track.frame_to_crop.double(), points) - transform(
        ours.frame_to_crop.double(), points
    )
    assert apart[track.visible].norm(dim=-1).max() < 3, "pixels of a crop of 256"


def test_given_faces_have_their_numbers_in_the_preview(clip, given):
    faces = read_given_faces(given, clip)
    track = track_with(GivenFaces(faces, FaceChoice(index=1)), clip)
    with_numbers, without = draw_track(clip, track, faces), draw_track(clip, track)
    assert ((with_numbers - without).abs().amax(-1) > 0.3).sum() > 200


def test_a_face_that_its_finder_doubts_is_none(clip, given):
    doubted = [[{**face, "presence": -1.0} for face in faces] for faces in given["frames"]]
    track = GivenFaces(read_given_faces({**given, "frames": doubted}, clip), FaceChoice())
    with pytest.raises(NoFaceError, match="no face in any of the"):
        track_with(track, clip)


@pytest.mark.parametrize(
    "change", [{"frames": [[]]}, {"image_size": (240, 322)}], ids=["frames", "size"]
)
def test_landmarks_of_another_video_are_refused(clip, given, change):
    with pytest.raises(NoFaceError, match="in the very frames of this video"):
        read_given_faces({**given, **change}, clip)


def wrong_faces(given: dict) -> list:
    face = given["frames"][0][0]
    return [
        5, "text", {}, {"frames": 3, "image_size": (1, 1)}, {**given, "image_size": (1,)},
        *({**given, "frames": [[{**face, **part}]]} for part in (
            {"landmarks_xy": face["landmarks_xy"][:68]},
            {"landmarks_3d": np.full((478, 3), np.nan)},
            {"landmarks_3d": np.zeros((478, 3))},
            {"presence": "sure"},
        )),
    ]  # fmt: skip


def test_another_form_is_refused_with_what_to_do(clip, given):
    for wrong in wrong_faces(given):
        with pytest.raises(NoFaceError, match="connect its output, or leave the input empty"):
            read_given_faces(wrong, clip)
