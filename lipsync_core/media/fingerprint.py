"""What tells whether two files are the same clip."""

import hashlib
from pathlib import Path

from ..errors import MediaError

FINGERPRINT_DIGITS = 16
_BLOCK = 1 << 20


def file_fingerprint(path: Path) -> str:
    """The first 16 hex digits of the file's SHA-256; MediaError when it cannot be read.

    The same pictures written again, or cut, have another fingerprint.
    """
    return file_sha256(path)[:FINGERPRINT_DIGITS]


def named_fingerprint(path: Path) -> str:
    """The file's name, without the folders it lies in, and its fingerprint, for people to read."""
    return f"{path.name} (sha256 {file_fingerprint(path)})"


def file_sha256(path: Path) -> str:
    """The file's SHA-256 in hex; MediaError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error}): check the name") from error
    return digest.hexdigest()
