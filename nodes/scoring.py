"""Score Lip Sync: how well a video's lips go with its speech."""

from comfy_api.latest import io

from ..lipsync_core.audio.encoder import load_speech_encoder
from ..lipsync_core.checkpoint import load_model
from ..lipsync_core.evaluation.scoring import score_lip_sync
from ..lipsync_core.evaluation.sync_measures import JUDGE
from ..lipsync_core.sync.expert import SyncExpert
from ..lipsync_core.weights import SPEECH_ENCODER, find
from . import folders, host
from .face import face_choice, face_inputs
from .schema import Schema
from .video import clip_of


def judges() -> tuple[host.HostedModel, host.HostedModel]:
    """What hears the speech, and what sees whether the lips go with it."""
    encoder = load_speech_encoder(find(SPEECH_ENCODER, folders.model_folders()))
    expert = load_model(folders.model_file(JUDGE), SyncExpert, host.operations())
    return host.HostedModel(encoder), host.HostedModel(expert)


class ScoreLipSync(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleScoreLipSync",
            display_name="Score Lip Sync",
            description="Says by how many milliseconds the lips are late or early and how sure "
            "that is. Any video goes, whatever made it; it can be set beside a real one.",
            search_aliases=["syncnet", "lip sync score", "av offset", "audio video sync", "lse"],
            inputs=[
                io.Video.Input("video", tooltip="The video whose lips are judged."),
                *face_inputs(),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The speech that the lips are judged by; without it the video's own.",
                ),
                io.Video.Input(
                    "real",
                    optional=True,
                    tooltip="The same face really saying the same, to compare the lips with.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="summary", tooltip="What was found, in words."),
                io.Float.Output(
                    display_name="offset", tooltip="Milliseconds that the lips are late; < 0 early."
                ),
                io.Float.Output(
                    display_name="confidence", tooltip="How clearly that offset is the best one."
                ),
                io.Image.Output(
                    display_name="plot",
                    tooltip="The mouth's opening over the waveform, and how well lips and speech "
                    "agree at every offset.",
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
        audio=None,
        real=None,
    ) -> io.NodeOutput:
        choice = face_choice(face, face_index, point_x, point_y)
        other = clip_of(real) if real is not None else None
        heard = host.audio(audio)
        progress = host.Progress(passes=1 if real is None else 2)
        with host.on_device(*judges()) as networks:
            score = score_lip_sync(
                host.face_landmarker(),
                *networks,
                clip_of(video),
                heard and heard.read(),
                choice,
                other,
                progress,
            )
        plot = host.images(score.plot())
        return io.NodeOutput(score.summary, score.offset, score.confidence, plot)
