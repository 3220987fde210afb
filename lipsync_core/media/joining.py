"""Clips that were written one after another, joined to one without being encoded again."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..types import Sound
from .sound_encoding import SoundEncoder
from .writing import not_written, part_of

if TYPE_CHECKING:
    import av.container


def join_clips(
    path: Path,
    pieces: Sequence[Path],
    fps: Fraction,
    audio: Sound | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Writes the pictures of `pieces` into one mp4 at `path`, with new sound.

    All pieces are of one size, at `fps`, written by `ClipWriter`. Written under another name and
    renamed at the end; MediaError when it cannot be written, ValueError when there is no piece.
    """
    import av
    from av.error import FFmpegError

    if not pieces:
        raise ValueError("no pieces were given; a clip needs at least one")
    part = part_of(path)
    try:
        with av.open(
            str(part.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
        ) as joined:
            joined.metadata.update(tags or {})
            _join(joined, pieces, fps, audio)
        os.replace(part, path)
    except (FFmpegError, OSError) as error:
        raise not_written(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _join(
    joined: "av.container.OutputContainer",
    pieces: Sequence[Path],
    fps: Fraction,
    audio: Sound | None,
) -> None:
    import av

    with av.open(str(pieces[0].absolute())) as container:
        stream = joined.add_stream_from_template(container.streams.video[0])
    sound = SoundEncoder(joined, audio) if audio is not None else None
    delay, frames, packets = max(map(_decoding_delay, pieces)), 0, 0
    for piece in pieces:
        with av.open(str(piece.absolute())) as container:
            source = container.streams.video[0]
            for packet in container.demux(source):
                if packet.pts is None:  # the end of the stream
                    continue
                packet.pts += round(frames / fps / packet.time_base)
                # Decoding goes on at an even pace, however much each piece looks ahead.
                packet.dts = round(packets / fps / packet.time_base) - delay
                packet.stream = stream
                joined.mux(packet)
                packets += 1
            frames += source.frames
        if sound is not None:
            sound.write(frames / fps)
    if sound is not None:
        sound.finish()


def _decoding_delay(piece: Path) -> int:
    """How long, in the ticks of the piece, its first picture is decoded before it is shown."""
    import av

    with av.open(str(piece.absolute())) as container:
        first = next(container.demux(video=0))
        return (first.pts or 0) - (first.dts or 0)
