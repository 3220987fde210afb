"""Decoded pictures of one video stream by their number, forwards and backwards."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from ..errors import MediaError
from .opening import Source, open_input, reading, source_name

if TYPE_CHECKING:
    import av
    import av.container
    import av.video.stream

_REMEMBERED_BYTES = 96 * 2**20
_FARTHEST_WITHOUT_SEEK = 16
_LONGEST_HOLE = 30


@dataclass(frozen=True)
class PictureIndex:
    """What the packets of a video stream promise, in the order of presentation."""

    pts: Int64[np.ndarray, " n"]
    keyframes: Int64[np.ndarray, " k"]
    """Numbers of the pictures from which decoding can begin."""
    time_base: Fraction
    last_duration: int
    declared_rates: tuple[Fraction | None, ...]
    primaries: int
    transfer: int
    """Code points of ISO/IEC 23091-2."""


def index_pictures(source: Source) -> PictureIndex:
    """Walks through the packets without decoding. MediaError if a file is cut off or empty."""
    from av.error import FFmpegError

    with reading(source) as container:
        stream = video_stream(container, source)
        stamps: dict[int, tuple[bool, int]] = {}
        broken, byte_count = False, 0
        try:
            for packet in container.demux(stream):
                stamp = packet.pts if packet.pts is not None else packet.dts
                broken |= packet.is_corrupt
                byte_count += packet.size
                if stamp is not None and packet.size and not packet.is_discard:
                    stamps[stamp] = (packet.is_keyframe, packet.duration or 0)
        except FFmpegError:
            broken = True
        if broken:
            raise MediaError(_cut_off(source, len(stamps), stream.frames))
        if byte_count and not stamps:
            raise MediaError(
                f"{source_name(source)} holds pictures without time stamps. Put them into an mp4."
            )
        if not stamps:
            raise MediaError(f"{source_name(source)} has a video track without a single frame.")
        pts = sorted(stamps)
        keyframes = [number for number, stamp in enumerate(pts) if stamps[stamp][0]]
        return PictureIndex(
            pts=np.array(pts, np.int64),
            keyframes=np.array(keyframes or [0], np.int64),
            time_base=stream.time_base or Fraction(1, 1000),
            last_duration=stamps[pts[-1]][1],
            declared_rates=(stream.average_rate, stream.guessed_rate, stream.base_rate),
            primaries=int(stream.codec_context.color_primaries),
            transfer=int(stream.codec_context.color_trc),
        )


def video_stream(
    container: "av.container.InputContainer", source: Source
) -> "av.video.stream.VideoStream":
    """The first stream of moving pictures; a cover picture of a song is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise MediaError(f"{source_name(source)} holds no video track. Use a file with pictures.")


def _cut_off(source: Source, readable: int, promised: int) -> str:
    of = f" of {promised}" if promised else ""
    return (
        f"{source_name(source)} is cut off or damaged: {readable}{of} frames can be read. "
        "Get the whole file again, or re-encode the part that plays."
    )


class PictureDecoder:
    """Gives pictures by number. Going on is cheap; going back starts at the keyframe before.

    The pictures decoded last are remembered, a fixed number of bytes of them, so that reading
    backwards in blocks, or in windows that overlap, does not decode everything anew each time.
    A picture that the decoder leaves out (a hidden or a damaged one) is stood in for by the one
    before it.
    """

    def __init__(self, source: Source, index: PictureIndex):
        self._source = source
        self._index = index
        self._container: av.container.InputContainer | None = None
        self._decoded: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._recent: deque[tuple[int, av.VideoFrame]] = deque()

    def picture(self, number: int) -> "av.VideoFrame":
        """The picture of that number, from 0. MediaError where too many cannot be decoded."""
        if not self._is_near(number):
            self._start(self._keyframe_until(number))
        while self._recent[-1][0] < number and self._advance():
            pass
        found, frame = next(entry for entry in reversed(self._recent) if entry[0] <= number)
        if number - found > _LONGEST_HOLE:
            raise MediaError(self._undecodable(found + 1, number))
        return frame

    def close(self) -> None:
        """Lets go of the file; the next picture opens it again."""
        if self._container is not None:
            self._container.close()
        self._container = None
        self._decoded = iter(())
        self._recent.clear()

    def _is_near(self, number: int) -> bool:
        if not self._recent or number < self._recent[0][0]:
            return False
        return self._keyframe_until(number) <= self._recent[-1][0] + _FARTHEST_WITHOUT_SEEK

    def _keyframe_until(self, number: int) -> int:
        place = int(np.searchsorted(self._index.keyframes, number, side="right")) - 1
        return int(self._index.keyframes[place]) if place >= 0 else 0

    def _start(self, keyframe: int) -> None:
        """Decodes the picture of that keyframe, or one before it."""
        self._seek(keyframe)
        while not self._advance() or (self._recent[0][0] > keyframe > 0):
            if keyframe == 0:
                raise MediaError(f"No picture of {source_name(self._source)} can be decoded.")
            # Some containers land late, and some keyframes are damaged: begin further ahead.
            keyframe = self._keyframe_until(keyframe - 1)
            self._seek(keyframe)
        first, frame = self._recent[0]
        if keyframe == 0 and first > 0:
            # What leads the first keyframe of a file cut out of a longer one has no reference.
            if first > _LONGEST_HOLE:
                raise MediaError(self._undecodable(0, first - 1))
            self._recent.appendleft((0, frame))

    def _seek(self, keyframe: int) -> None:
        """Moves to a keyframe; to the beginning of the file, opened anew, for number 0."""
        if keyframe == 0 or self._container is None:
            self.close()
            self._container = open_input(self._source)
            video_stream(self._container, self._source).thread_type = "AUTO"
        self._recent.clear()
        stream = video_stream(self._container, self._source)
        if keyframe > 0:
            self._container.seek(int(self._index.pts[keyframe]), stream=stream)
        self._decoded = self._decode(self._container, stream)

    def _decode(
        self, container: "av.container.InputContainer", stream: "av.video.stream.VideoStream"
    ) -> Iterator["tuple[int, av.VideoFrame]"]:
        from av.error import InvalidDataError

        number = -1
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except InvalidDataError:
                continue  # a damaged packet: the picture before stands in
            for frame in frames:
                if frame.pts is None:
                    number += 1
                else:
                    number = int(np.searchsorted(self._index.pts, frame.pts, side="right")) - 1
                yield number, frame

    def _advance(self) -> bool:
        """Decodes one more picture; False at the end of the file."""
        from av.error import FFmpegError

        last = self._recent[-1][0] if self._recent else -1
        try:
            entry = next((entry for entry in self._decoded if entry[0] > last), None)
        except FFmpegError as error:
            raise MediaError(self._undecodable(last + 1, last + 1)) from error
        if entry is None:
            return False
        self._recent.append(entry)
        size = sum(plane.buffer_size for plane in entry[1].planes)
        while len(self._recent) > max(2, _REMEMBERED_BYTES // size):
            self._recent.popleft()
        return True

    def _undecodable(self, first: int, last: int) -> str:
        seconds = (self._index.pts[[first, last]] - self._index.pts[0]) * self._index.time_base
        return (
            f"{source_name(self._source)} is damaged: nothing can be decoded from "
            f"{float(seconds[0]):.2f} to {float(seconds[1]):.2f} s. Leave that part out with "
            "start and duration, or get the file again."
        )
