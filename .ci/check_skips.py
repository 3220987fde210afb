"""Fails when a test was skipped that is not on the committed list.

    python3 .ci/check_skips.py JUNIT.xml ALLOWED.txt

A line of the list is a pattern of `module::test` (shell wildcards), two spaces or more, and a part
of the reason for which the skip is expected. Standard library only.
"""

import fnmatch
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def skipped_tests(report: Path) -> list[tuple[str, str]]:
    """Name and reason of every skipped test in a JUnit report; expected failures do not count."""
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        skip = case.find("skipped")
        if skip is not None and skip.get("type") != "pytest.xfail":
            name = f"{case.get('classname')}::{case.get('name')}"
            found.append((name, skip.get("message") or ""))
    return found


def allowed_skips(path: Path) -> list[tuple[str, str]]:
    """Pattern and part of the reason of every line."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    pairs = [re.split(r"\s{2,}", line, maxsplit=1) for line in lines if line]
    return [(pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs]


def surprises(
    skipped: list[tuple[str, str]], allowed: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The skips that no line of the list allows."""
    return [
        (name, reason)
        for name, reason in skipped
        if not any(fnmatch.fnmatchcase(name, p) and part in reason for p, part in allowed)
    ]


def main() -> int:
    report, allowed = map(Path, sys.argv[1:3])
    unexpected = surprises(skipped_tests(report), allowed_skips(allowed))
    for name, reason in unexpected:
        print(f"skipped, and not in {allowed}: {name}: {reason}")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
