"""Progress bars on standard error for the command line."""

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from ..types import OnProgress


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[OnProgress]:
    """An OnProgress that draws one bar."""
    with tqdm(desc=what, unit=unit, dynamic_ncols=True) as bar:

        def on_progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield on_progress
