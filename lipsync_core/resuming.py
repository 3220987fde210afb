"""A re-spoken video written piece by piece: after a crash the finished pieces are not made again.

The first pass over the video is made again; it costs little beside the second.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from .media.joining import join_clips
from .media.piece_store import PieceStore
from .media.writing import write_clip
from .pipeline import TAGS, LipSync

PIECE_SECONDS = 10
Watch = Callable[[Iterable[Float[Tensor, "t h w 3"]], int], Iterable[Float[Tensor, "_ h w 3"]]]
"""(frames of a piece, how many came before) -> the same frames, watched on their way."""


def job_of(work: LipSync, source: str) -> str:
    """A digest of all that decides the pictures of `work`; `source` says what they were read from.

    That is the text itself (a file's SHA-256, where it was trimmed), what the first pass found, the
    settings and the renderer's weights.
    """
    clip, settings = work.clip, work.settings
    digest = hashlib.sha256(f"{source} {clip.frame_count} {clip.coding} {settings}".encode())
    track, motion, references = work.track, work.motion, work.references
    found = [track.landmarks, track.frame_to_crop, track.visible, motion.coefficients]
    found += [references.features, references.choice, references.usable, references.distance]
    for tensor in (*found, *work.renderer.state_dict().values()):
        digest.update(_bytes(tensor))
    return digest.hexdigest()[:32]


def write_resumably(
    path: Path, work: LipSync, store: PieceStore, job: str, watch: Watch | None = None
) -> None:
    """Writes `work` to `path`, taking out of `store` what is finished and keeping there what gets
    finished. Once the whole is written its pieces are removed; when writing ends in an error they
    stay."""
    names = []
    for piece in pieces(work):
        names.append(f"{job}-{piece.start}")
        if store.find(names[-1]) is None:
            frames = work.frames(frames=piece)
            clip = work.clip
            with store.adding(names[-1]) as part:
                watched = frames if watch is None else watch(frames, piece.start)
                write_clip(part, watched, clip.fps, clip.height, clip.width, coding=clip.coding)
    found = [file for name in names if (file := store.find(name)) is not None]
    join_clips(path, found, work.clip.fps, work.speech, TAGS)
    store.discard(job)


def pieces(work: LipSync) -> Iterator[range]:
    """The frames of `work`, a few seconds at a time."""
    length = max(1, round(PIECE_SECONDS * work.clip.fps))
    for start in range(0, work.clip.frame_count, length):
        yield range(start, min(start + length, work.clip.frame_count))


def _bytes(tensor: Tensor) -> memoryview:
    """Of the tensor itself, where it lies on the CPU in one piece."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
