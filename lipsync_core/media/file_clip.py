"""A video file as a clip: read on demand, upright, at a constant rate."""

from fractions import Fraction
from math import inf
from threading import Lock
from weakref import ref

from jaxtyping import Float
from torch import Tensor

from ..errors import MediaError
from ..frame_memory import empty_frames
from ..types import Audio, Clip, Sound
from .audio_file import sound_between
from .colour import coding_of, orientation_of, rgb_pixels, store_unit_range
from .decoding import PictureDecoder, index_pictures
from .opening import Source, source_name
from .timing import constant_grid


def open_clip(path: Source, start: float = 0.0, duration: float | None = None) -> "FileClip":
    """Opens a video file, from `start` for `duration` seconds (to its end if None), both rounded
    to whole frames. Reads the time stamps of all packets and one picture; the rest waits.

    MediaError: no such file, no video, no frames, a file that is cut off, or `start` after its end.
    """
    return FileClip(path, start, duration)


class FileClip(Clip):
    """Frames of a file, upright, in its own size and rate.

    Frames that are evenly stamped map one to one. A variable rate is laid on a constant grid:
    frame i shows the latest picture that has begun at i / fps. Interlaced pictures and oblong
    pixels stay as they are stored.
    """

    def __init__(self, source: Source, start: float = 0.0, duration: float | None = None):
        from av.video.reformatter import VideoReformatter

        if not 0 <= start < inf or not (duration is None or 0 < duration < inf):
            raise ValueError(
                f"start is {start}, duration {duration}: give seconds, neither before zero"
            )
        self._source = source
        self._index = index = index_pictures(source)
        grid = constant_grid(index.pts, index.time_base, index.last_duration, index.declared_rates)
        self.fps = grid.fps
        self._first = round(Fraction(start) * grid.fps)
        if self._first >= len(grid.shown):
            raise MediaError(
                f"{source_name(source)} is {float(len(grid.shown) / grid.fps):.2f} s long; nothing "
                f"is left after a start at {start:.2f} s. Choose an earlier start."
            )
        rest = len(grid.shown) - self._first
        wanted = rest if duration is None else max(1, round(Fraction(duration) * grid.fps))
        self.frame_count = min(rest, wanted)
        self._shown = grid.shown[self._first : self._first + self.frame_count]

        self._decoder = PictureDecoder(source, index)
        self._reformatter = VideoReformatter()
        picture = self._decoder.picture(int(self._shown[0]))
        self._stored_size = picture.width, picture.height
        self._orientation = orientation_of(picture)
        self.coding = coding_of(picture, index.primaries, index.transfer)
        turned = self._orientation.transposed
        self.width, self.height = self._stored_size[::-1] if turned else self._stored_size
        self._audio: ref[Audio] | None = None
        self._lock = Lock()

    def frames(self, start: int, stop: int) -> Float[Tensor, "t h w 3"]:
        """Float32: k / 255 for byte k; files of more than 8 bits keep their precision."""
        if not 0 <= start <= stop <= self.frame_count:
            raise ValueError(f"frames {start} to {stop} of a clip of {self.frame_count}")
        frames = empty_frames(stop - start, self.height, self.width, 3)
        with self._lock:
            for place, number in enumerate(self._shown[start:stop].tolist()):
                picture = self._decoder.picture(number)
                pixels, white = rgb_pixels(picture, *self._stored_size, self._reformatter)
                store_unit_range(self._orientation.upright(pixels), white, frames[place])
        return frames

    def audio(self) -> Audio | None:
        """Mono at the file's own rate, exactly as long as the pictures and beginning with the
        first of them: sound from before it is cut, and silence fills where the track has none.

        Read anew whenever nobody holds it any more. None for a silent file.
        """
        audio = self._audio() if self._audio else None
        sound = self.sound() if audio is None else None
        if sound is not None:
            audio = sound.read()
            self._audio = ref(audio)
        return audio

    def sound(self) -> Sound | None:
        """The same with the file's channels, decoded anew each time it is read."""
        begin = int(self._index.pts[0]) * self._index.time_base + self._first / self.fps
        return sound_between(self._source, begin, self.frame_count / self.fps)

    def close(self) -> None:
        """Lets go of the file; reading on opens it again."""
        with self._lock:
            self._decoder.close()
