"""The prepared clip: one .safetensors with all that training needs of one clip.

    crops          uint8  [t s s 3]     aligned crops, RGB
    landmarks      float32 [t 77 3]     TRACKED landmarks, frame pixels
    frame_to_crop  float32 [t 2 3]
    visible        bool   [t]
    neutral        float32 [77 3]       canonical face, eye distances
    canonical      float32 [t25 57 3]   MOVING landmarks minus neutral at 25 Hz, eye distances
    valid          bool   [t25]
    speech         float16 [v t25 d]    v variants of the speech features at 25 Hz

Variant 0 hears the clip alone from its first second; in the others it stands at a random place
between other clips of the same person, so that nothing is learned from where speech stands in the
encoder's window; the last ones are in other voices. Tensors are read one by one, straight from the
mapped file.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from ..checkpoint import read_metadata, save_tensors
from ..errors import TrainingError

PREPARED_FORMAT = "1"


@dataclass(frozen=True)
class PreparedClip:
    """One prepared clip on disk."""

    path: Path
    name: str
    person: str
    split: str
    """"train", "validation" or "test"."""
    fps: Fraction
    crop_size: int
    frame_count: int
    encoder: str
    source: str
    """Data set and licence."""
    fingerprint: str = ""
    """media.fingerprint of the file it was prepared from; "" where it was not recorded."""

    def read(self, name: str) -> Tensor:
        """The tensor `name` of the table above."""
        with safe_open(self.path, framework="pt") as file:
            return file.get_tensor(name)

    def has(self, name: str) -> bool:
        """Whether the clip was prepared with the tensor `name`."""
        with safe_open(self.path, framework="pt") as file:
            return name in file.keys()  # noqa: SIM118

    def read_crops(self, frames: list[int]) -> Tensor:
        """Only the crops of these frames, uint8 [r s s 3]."""
        with safe_open(self.path, framework="pt") as file:
            return file.get_slice("crops")[frames]


def write_prepared(path: Path, tensors: dict[str, Tensor], **facts: object) -> None:
    """Writes one prepared clip; `facts` are the fields of PreparedClip but its path."""
    metadata = {"lipstyle.prepared": PREPARED_FORMAT}
    save_tensors(path, tensors, metadata | {k: str(v) for k, v in facts.items()})


def read_prepared(folder: Path, split: str | None = None) -> list[PreparedClip]:
    """Every prepared clip under `folder`, ordered by path; only those of `split` if given."""
    clips = [_read(path) for path in sorted(folder.rglob("*.safetensors"))]
    clips = [clip for clip in clips if clip is not None and split in (None, clip.split)]
    if not clips:
        raise TrainingError(
            f"no prepared clips{f' of split {split!r}' if split else ''} under {folder}: "
            "run `python -m lipsync_core prepare` first"
        )
    return clips


def _read(path: Path) -> PreparedClip | None:
    metadata = read_metadata(path)
    if metadata.get("lipstyle.prepared") != PREPARED_FORMAT:
        return None
    return PreparedClip(
        path=path,
        name=metadata["name"],
        person=metadata["person"],
        split=metadata["split"],
        fps=Fraction(metadata["fps"]),
        crop_size=int(metadata["crop_size"]),
        frame_count=int(metadata["frame_count"]),
        encoder=metadata["encoder"],
        source=metadata["source"],
        fingerprint=metadata.get("fingerprint", ""),
    )


def describe(clips: list[PreparedClip]) -> dict[str, object]:
    """What a model trained on `clips` says of its data in its header, one entry per source.

    Names, people and fingerprints let an evaluation refuse what was trained on.
    """
    by_source: dict[str, list[PreparedClip]] = {}
    for clip in clips:
        by_source.setdefault(clip.source, []).append(clip)
    return {source: _describe_source(members) for source, members in by_source.items()}


def _describe_source(clips: list[PreparedClip]) -> dict[str, object]:
    people = sorted({clip.person for clip in clips})
    return {
        "people": len(people),
        "people_names": people,
        "clips": len(clips),
        "split": sorted({clip.split for clip in clips}),
        "names": sorted(clip.name for clip in clips),
        "fingerprints": sorted(clip.fingerprint for clip in clips if clip.fingerprint),
    }
