"""Opens media files with PyAV, and says in plain words why one cannot be opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MediaError

if TYPE_CHECKING:
    import av
    import av.container

Source = Path | BytesIO
"""Where a media file is: on the disk, or whole in memory."""

_TEXT_ART = frozenset({"tty", "bin", "xbin", "adf", "idf"})
"""Demuxers that draw any text file as moving pictures of letters."""


def source_name(source: Source) -> str:
    """What to call a source in a message."""
    return "the file in memory" if isinstance(source, BytesIO) else source.name


def open_input(source: Source) -> "av.container.InputContainer":
    """Opens a file for reading; every call reads on its own. MediaError if it is no media file."""
    import av
    from av.error import FFmpegError

    if isinstance(source, Path) and not source.is_file():
        raise MediaError(f"There is no file at {source}. Check the path.")
    # A view of its own for each reader (the bytes are shared), and an absolute path so that a
    # colon in a file's name is not taken for a protocol.
    file = BytesIO(source.getvalue()) if isinstance(source, BytesIO) else str(source.absolute())
    try:
        # Play lists and the like may name further files and servers: only this file is read.
        options = {"protocol_whitelist": "file"}
        container = av.open(file, "r", options=options, metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise MediaError(_why_not(source, error)) from error
    if container.format.name in _TEXT_ART:
        container.close()
        raise MediaError(f"{source_name(source)} is text. Use a video or audio file.")
    return container


@contextmanager
def reading(source: Source) -> Iterator["av.container.InputContainer"]:
    """An open file for the length of a `with`; what FFmpeg finds wrong becomes a MediaError."""
    from av.error import FFmpegError

    with open_input(source) as container:
        try:
            yield container
        except FFmpegError as error:
            raise MediaError(_why_not(source, error)) from error


def _why_not(source: Source, error: Exception) -> str:
    name = source_name(source)
    if _is_mp4_without_index(source):
        return (
            f"{name} has no index (moov box): it was cut off while it was recorded, copied or "
            "downloaded. Get the whole file again."
        )
    reason = getattr(error, "strerror", None) or str(error)
    return f"{name} cannot be read as video or audio ({reason}). Use a file that plays elsewhere."


def _is_mp4_without_index(source: Source) -> bool:
    """Walks the boxes at the top of an ISO base media file (ISO/IEC 14496-12, 4.2)."""
    try:
        file = BytesIO(source.getvalue()) if isinstance(source, BytesIO) else source.open("rb")
    except OSError:
        return False
    with file:
        end = file.seek(0, 2)
        position, names = 0, []
        while position + 8 <= end and len(names) < 64:
            file.seek(position)
            header = file.read(16)
            size, name = int.from_bytes(header[:4], "big"), header[4:8]
            names.append(name)
            if size == 1:
                size = int.from_bytes(header[8:16], "big")
            if size < 8:  # 0: the box reaches to the end of the file; else no such file
                break
            position += size
    return bool(names) and names[0] == b"ftyp" and b"moov" not in names
