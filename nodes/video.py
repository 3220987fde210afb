"""VIDEO to `Clip` and back, without decoding before somebody looks."""

import io as streams
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from comfy_api.latest import Input, InputImpl, Types

from ..lipsync_core.errors import MediaError
from ..lipsync_core.media.audio_file import sound_blocks
from ..lipsync_core.media.file_clip import open_clip
from ..lipsync_core.media.fingerprint import file_sha256, named_fingerprint
from ..lipsync_core.media.piece_store import PieceStore
from ..lipsync_core.media.tensor_clip import TensorClip
from ..lipsync_core.media.trimming import trim_clip
from ..lipsync_core.media.writing import write_clip
from ..lipsync_core.pipeline import TAGS, LipSync
from ..lipsync_core.resuming import job_of, write_resumably
from ..lipsync_core.types import Clip, Sound
from . import folders, host

CHUNK_BYTES = 16 * 2**20
"""Of frames that are read at once."""


class ClipVideo(Input.Video):
    """A VIDEO that is a `Clip`: pictures are read when, and only as far as, they are asked for."""

    def __init__(self, clip: Clip, path: Path | None = None):
        self.clip = clip
        self.path = path
        """The file that it was opened from, if it was."""
        self._written: Path | None = None

    def get_components(self) -> Types.VideoComponents:
        """All frames at once: what the core's Get Video Components asks for."""
        heard = self.clip.sound()
        return Types.VideoComponents(
            images=self.clip.frames(0, self.clip.frame_count),
            audio=None if heard is None else host.sound(heard),
            frame_rate=self.clip.fps,
        )

    def save_to(
        self,
        path: str | streams.BytesIO,
        format: Any = Types.VideoContainer.AUTO,
        codec: Any = Types.VideoCodec.AUTO,
        metadata: dict | None = None,
        **options: Any,
    ) -> None:
        """Encoded once, frame by frame; then the core copies, tags, or converts that file."""
        encoded = InputImpl.VideoFromFile(self.get_stream_source())
        encoded.save_to(path, format=format, codec=codec, metadata=metadata, **options)

    def get_stream_source(self) -> str:
        """A file with this video in it, written once for nodes that read files only."""
        if self._written is None or not self._written.is_file():
            path = folders.temp_file(".mp4")
            write(path, self.clip, read_in_chunks(self.clip), self.clip.sound())
            self._written = path
        return str(self._written)

    def get_dimensions(self) -> tuple[int, int]:
        """Width, height."""
        return self.clip.width, self.clip.height

    def get_duration(self) -> float:
        """Seconds."""
        return self.clip.duration

    def get_frame_count(self) -> int:
        return self.clip.frame_count

    def get_frame_rate(self) -> Fraction:
        return self.clip.fps

    def get_container_format(self) -> str:
        return "mov,mp4,m4a,3gp,3g2,mj2"

    def get_active_trim_window(self) -> tuple[float, float]:
        """Start and duration within the stream source, which is already trimmed."""
        return 0.0, 0.0

    def as_trimmed(
        self,
        start_time: float | None = None,
        duration: float | None = None,
        strict_duration: bool = False,
    ) -> "ClipVideo | None":
        """What the core's Trim Video asks for; None if nothing (or too little) is left."""
        whole, start, duration = self.clip.duration, start_time or 0.0, duration or None
        if start < 0:  # counted from the end
            start = max(0.0, whole + start)
        left = whole - start
        if left * self.clip.fps < 1 or (strict_duration and duration and duration > left + 1e-6):
            return None
        return ClipVideo(trim_clip(self.clip, start, duration), self.path)


def clip_of(video: Input.Video) -> Clip:
    """The `Clip` in a VIDEO of any make.

    A file is read as a stream, trims honoured; what has no file is in memory already.
    """
    if isinstance(video, ClipVideo):
        return video.clip
    has_file = type(video).get_stream_source is not Input.Video.get_stream_source
    if has_file and not isinstance(video, InputImpl.VideoFromComponents):
        source = video.get_stream_source()
        start, duration = _trim_window(video)
        clip = open_clip(
            Path(source) if isinstance(source, str) else source, start, duration or None
        )
        # A node may have cropped the pictures, which the file does not know.
        if sorted(video.get_dimensions()) == sorted((clip.width, clip.height)):
            return clip
    components = video.get_components()
    if not len(components.images):
        raise MediaError("the video has no frames: check the node that made it")
    return TensorClip(
        host.pictures(components.images),
        Fraction(components.frame_rate),
        host.audio(components.audio),
    )


def source_of(video: Input.Video) -> str:
    """Name and fingerprint of the file that a VIDEO is read from; "" where there is none."""
    if isinstance(video, ClipVideo):
        path = video.path
    elif isinstance(video, InputImpl.VideoFromFile):
        path = video.get_stream_source()
    else:
        path = None
    # A file that is only in memory has no name.
    return named_fingerprint(Path(path)) if isinstance(path, str | Path) else ""


def _trim_window(video: Input.Video) -> tuple[float, float]:
    """Start and duration in seconds, 0 for to the end; videos could not be trimmed before 0.22."""
    window = getattr(video, "get_active_trim_window", None)
    return window() if window else (0.0, 0.0)


def open_video(path: Path, start: float, duration: float) -> ClipVideo:
    """A file as a VIDEO, of which only the packets are looked through; duration 0 is all."""
    return ClipVideo(open_clip(path, start, duration or None), path)


def sound_of(path: Path, video: ClipVideo) -> host.ClipSound | None:
    """The sound of a video opened from `path`, not read yet; None if the file has none."""
    return host.ClipSound(video.clip) if next(sound_blocks(path), None) else None


def read_in_chunks(clip: Clip) -> Iterator[Any]:
    """All frames of a clip, as many at once as fit into a fixed number of bytes."""
    chunk = max(1, CHUNK_BYTES // (clip.height * clip.width * 3 * 4))
    for start in range(0, clip.frame_count, chunk):
        yield clip.frames(start, min(start + chunk, clip.frame_count))


def write(
    path: Path,
    like: Clip,
    frames: Iterable[Any],
    heard: Sound | None,
    tags: dict[str, str] | None = None,
    progress: host.Progress | None = None,
) -> None:
    """Streams `frames` into an mp4 of the size, rate and coding of `like`, with progress and
    previews."""
    watched = (progress or host.Progress()).watch(frames, like.frame_count)
    size = like.height, like.width
    write_clip(path, watched, like.fps, *size, heard, tags, coding=like.coding)


def respoken_video(work: LipSync, video: Input.Video, extra: str, progress: Any) -> Input.Video:
    """`work` on `video` as a file in ComfyUI's temp folder, where any node can go on with it.

    Where the video is a file, finished pieces are kept until all are done: a crash costs the last
    one alone. A cancel removes them. `extra` tells what else decides the pictures.
    """
    path = folders.temp_file(".mp4")
    file = video.path if isinstance(video, ClipVideo) else _file_of(video)
    if file is None:
        write(path, work.clip, work.frames(), work.speech, TAGS, progress)
        return InputImpl.VideoFromFile(str(path))
    store, job = (
        PieceStore(folders.unfinished_folder()),
        job_of(work, f"{file_sha256(file)} {extra}"),
    )
    total = work.clip.frame_count
    try:
        write_resumably(
            path, work, store, job, lambda frames, done: progress.watch(frames, total, done)
        )
    except host.cancelled():
        store.discard(job)
        raise
    return InputImpl.VideoFromFile(str(path))


def _file_of(video: Input.Video) -> Path | None:
    if not isinstance(video, InputImpl.VideoFromFile):
        return None
    source = video.get_stream_source()
    return Path(source) if isinstance(source, str) else None


def written_video(
    like: Clip, frames: Iterable[Any], heard: Sound | None, progress: host.Progress
) -> Input.Video:
    """A re-spoken video: streamed into ComfyUI's temp folder, where any node can go on with it."""
    path = folders.temp_file(".mp4")
    write(path, like, frames, heard, TAGS, progress)
    return InputImpl.VideoFromFile(str(path))
