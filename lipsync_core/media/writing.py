"""Writes pictures and sound to an mp4, frame by frame, whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from ..errors import MediaError
from ..types import PictureCoding, Sound
from .colour import video_frame
from .sound_encoding import SoundEncoder, check_encodable

if TYPE_CHECKING:
    import av.video.stream

_TAGS = frozenset(
    {"title", "artist", "album", "date", "comment", "description", "copyright", "genre", "keywords"}
)
_LIMITED, _FULL = 1, 2  # AVColorRange
_USUAL = PictureCoding()


def write_clip(
    path: Path,
    frames: Iterable[Float[Tensor, "_ h w 3"]],
    fps: Fraction,
    height: int,
    width: int,
    audio: Sound | None = None,
    tags: Mapping[str, str] | None = None,
    repeatable: bool = False,
    coding: PictureCoding = _USUAL,
) -> None:
    """Writes chunks of frames with `ClipWriter`; an error in `frames` leaves no file behind."""
    settings = {"repeatable": repeatable, "coding": coding}
    with ClipWriter(path, fps, height, width, audio, tags, **settings) as writer:
        for chunk in frames:
            writer.write(chunk)


class ClipWriter:
    """H.264 and AAC in an mp4: exactly the frames written, at exactly `fps`, sound from zero on.

    Pictures are stored by `coding`, and tagged so: matrix, range, primaries and transfer of the
    clip that they come from, so that nothing is converted and colours are shown as before. Deep
    ones keep 10 bits, as H.264 High 10 (Chrome and desktop players show it, Firefox and Safari may
    not); else 8. Even sizes are stored as 4:2:0, which plays everywhere; H.264 has no odd sizes in
    4:2:0, so those are stored as 4:4:4, at their exact size, which browsers other than Firefox and
    most players show. Sound keeps its channels if they are one, two or six; rates that AAC
    lacks are raised to the next one.

    `tags` go into the container ("title", "comment", "description", ...). Everything is written
    beside `path` under another name and renamed at the end of the `with`: an exception in it
    leaves whatever `path` was before. MediaError if the file cannot be written, a full disk
    included; ValueError if no frame was written.

    `repeatable` writes the same bytes for the same frames every time, in one thread and without
    libx264's macroblock tree, at 20 to 50 % more bytes. That tree reads memory that nobody set
    (measured with glibc's MALLOC_PERTURB_): else pixels may differ by some levels between runs.
    """

    def __init__(
        self,
        path: Path,
        fps: Fraction,
        height: int,
        width: int,
        audio: Sound | None = None,
        tags: Mapping[str, str] | None = None,
        crf: int = 15,
        repeatable: bool = False,
        coding: PictureCoding = _USUAL,
    ):
        if fps <= 0 or height < 1 or width < 1:
            raise ValueError(f"{width} x {height} at {fps} frames a second is no video")
        if unknown := set(tags or {}) - _TAGS:
            raise ValueError(f"mp4 has no tags {sorted(unknown)}; it has {sorted(_TAGS)}")
        self._path = path
        self._part = part_of(path)
        self._fps, self._height, self._width, self._crf = Fraction(fps), height, width, crf
        if audio is not None:
            check_encodable(audio)
        self._audio = audio
        self._tags = dict(tags or {})
        self._repeatable = repeatable
        self._coding = coding
        self._frame_count = 0

    def __enter__(self) -> "ClipWriter":
        import av
        from av.error import FFmpegError
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        try:
            self._part.touch()  # FFmpeg opens the file with the first frame only: fail before
            self._container = av.open(
                str(self._part.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
            )
            self._container.metadata.update(self._tags)
            self._pictures = self._add_pictures()
            self._sound = SoundEncoder(self._container, self._audio) if self._audio else None
        except (FFmpegError, OSError) as error:
            self._part.unlink(missing_ok=True)
            raise self._failure(error) from error
        return self

    def write(self, frames: Float[Tensor, "t h w 3"]) -> None:
        """Adds frames, RGB in [0, 1], with the sound up to their end."""
        from av.error import FFmpegError

        if frames.shape[1:] != (self._height, self._width, 3):
            size = f"{frames.shape[2]} x {frames.shape[1]}"
            raise ValueError(f"frames are {size}; the clip is {self._width} x {self._height}")
        try:
            for picture in frames:
                frame = video_frame(picture, self._pixel_format, self._coding, self._reformatter)
                frame.pts, frame.time_base = self._frame_count, 1 / self._fps
                self._container.mux(self._pictures.encode(frame))
                self._frame_count += 1
                if self._sound is not None:
                    self._sound.write(self._frame_count / self._fps)
        except FFmpegError as error:
            raise self._failure(error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from av.error import FFmpegError

        try:
            if kind is None:
                self._finish()
        except (FFmpegError, OSError) as failure:
            raise self._failure(failure) from failure
        finally:
            self._discard()

    def _add_pictures(self) -> "av.video.stream.VideoStream":
        odd = self._width % 2 or self._height % 2
        stream = self._container.add_stream("libx264", rate=self._fps)
        stream.width, stream.height = self._width, self._height
        stream.pix_fmt = self._pixel_format
        stream.options = {"crf": str(self._crf), "preset": "fast"}
        parameters = ["mbtree=0", "threads=1"] if self._repeatable else []
        if not odd:
            # libswscale puts chroma midway between the columns; readers take H.264 that does not
            # say so to have it on the left ones, and each copy would move its colours by half a
            # pixel (measured).
            parameters.append("chromaloc=1")
        stream.options["x264-params"] = ":".join(parameters)
        context = stream.codec_context
        context.time_base = 1 / self._fps
        context.colorspace = self._coding.matrix
        context.color_primaries = self._coding.primaries
        context.color_trc = self._coding.transfer
        context.color_range = _FULL if self._coding.full_range else _LIMITED
        return stream

    @property
    def _pixel_format(self) -> str:
        odd = self._width % 2 or self._height % 2
        return ("yuv444p" if odd else "yuv420p") + ("10le" if self._coding.deep else "")

    def _finish(self) -> None:
        if self._frame_count == 0:
            raise ValueError("no frame was written; a clip needs at least one")
        self._container.mux(self._pictures.encode(None))
        if self._sound is not None:
            self._sound.finish()
        self._container.close()
        self._check()
        os.replace(self._part, self._path)

    def _check(self) -> None:
        """Reads the header back: a disk that fills with the last bytes is not always reported."""
        import av

        with av.open(str(self._part.absolute())) as container:
            written = container.streams.video[0].frames
        if written != self._frame_count:
            raise OSError(errno.EIO, f"{written} of {self._frame_count} frames arrived")

    def _discard(self) -> None:
        from av.error import FFmpegError

        # After a failure the container cannot be closed cleanly, and the file is not kept.
        with suppress(FFmpegError, OSError):
            self._container.close()
        self._part.unlink(missing_ok=True)

    def _failure(self, error: Exception) -> MediaError:
        return not_written(self._path, error)


def not_written(path: Path, error: Exception) -> MediaError:
    """What went wrong with writing `path`, in words that tell what to do."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return MediaError(
            f"The disk is full: {path.name} could not be written to {path.parent}. Nothing was "
            "left there; make room and run again."
        )
    reason = getattr(error, "strerror", None) or str(error)
    return MediaError(
        f"{path} cannot be written ({reason}). Check that its folder exists and that files may "
        "be made in it."
    )


def part_of(path: Path) -> Path:
    """A name beside `path` for what is not finished."""
    return path.with_name(f".{path.stem[:64]}.{secrets.token_hex(4)}.part")
