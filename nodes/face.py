"""Track Face: one face through a whole video."""

from comfy_api.latest import io, ui

from ..lipsync_core.face.choice import FaceChoice
from ..lipsync_core.face.drawing import draw_track
from ..lipsync_core.face.given_faces import GivenFaces, read_given_faces
from ..lipsync_core.face.tracking import track_face, track_with
from . import host, types
from .schema import Schema, advanced
from .video import clip_of

LARGEST, FROM_LEFT, AT_POINT = "largest", "index from the left", "point"
MAX_PIXELS = 16384


def face_inputs(fold: bool = True) -> list[io.Input]:
    """Which of several faces is meant; the parameters of `face_choice`. Few users need more than
    the first, so the others are folded away unless the node is there for them."""
    choice = io.Combo.Input(
        "face",
        options=[LARGEST, FROM_LEFT, AT_POINT],
        default=LARGEST,
        tooltip="Which of several faces is meant: the largest, the one with an index (counted from "
        "the left), or the one at a point of the picture.",
    )
    details = [
        io.Int.Input(
            "face_index",
            default=0,
            min=0,
            max=99,
            tooltip="For 'index from the left': 0 is the leftmost face. Track Face's preview shows "
            "the numbers.",
        ),
        io.Int.Input(
            "point_x",
            default=0,
            min=0,
            max=MAX_PIXELS,
            tooltip="For 'point': pixels from the picture's left edge.",
        ),
        io.Int.Input(
            "point_y",
            default=0,
            min=0,
            max=MAX_PIXELS,
            tooltip="For 'point': pixels from the picture's upper edge.",
        ),
    ]
    return [choice, *map(advanced, details)] if fold else [choice, *details]


def face_choice(face: str, face_index: int, point_x: int, point_y: int) -> FaceChoice:
    """What the widgets of `face_inputs` say; ValueError for a way to choose that is none."""
    choices = {
        LARGEST: FaceChoice(),
        FROM_LEFT: FaceChoice(index=face_index),
        AT_POINT: FaceChoice(point=(point_x, point_y)),
    }
    if face not in choices:
        raise ValueError(f"face is {face!a:.99}; it must be one of {tuple(choices)}")
    return choices[face]


class TrackFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleTrackFace",
            display_name="Track Face",
            description="Follows one face through the video: where it is in every frame, and the "
            "way into its steady, aligned crop and back. Frames without it pass through later.",
            search_aliases=["face detection", "face landmarks", "face crop", "align face"],
            has_intermediate_output=True,
            inputs=[
                io.Video.Input("video", tooltip="Any length: it is read as a stream."),
                *face_inputs(fold=False),
                types.FaceLandmarks.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip="From the core's MediaPipe Face Landmarker, of this video's frames: "
                    "taken in place of what is found here.",
                ),
            ],
            outputs=[
                types.FaceTrack.Output(
                    display_name="face_track",
                    tooltip="Where the face is in every frame, and the way into its crop and back.",
                ),
                io.Image.Output(
                    display_name="preview",
                    tooltip="Frames across the clip with every face's number from the left, and "
                    "the crop, the mask and the lips of the one that is tracked.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        video,
        face: str,
        face_index: int,
        point_x: int,
        point_y: int,
        face_landmarks=None,
    ) -> io.NodeOutput:
        clip = clip_of(video)
        choice = face_choice(face, face_index, point_x, point_y)
        if face_landmarks is not None:
            given = GivenFaces(read_given_faces(face_landmarks, clip), choice)
            track = track_with(given, clip, on_progress=host.Progress())
            drawn = draw_track(clip, track, given.frames)
        else:
            landmarker = host.face_landmarker()
            track = track_face(landmarker, clip, choice, on_progress=host.Progress())
            drawn = draw_track(clip, track, landmarker)
        preview = host.images(drawn)
        return io.NodeOutput(track, preview, ui=ui.PreviewImage(preview, cls=cls))
