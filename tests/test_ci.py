"""The list of allowed skips: only what is on it may be skipped, and only for its reason."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.hosting.environment import PACK

REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_runs"/>
<testcase classname="tests.test_a" name="test_gpu[1]">
  <skipped type="pytest.skip" message="no GPU"/></testcase>
<testcase classname="tests.test_a" name="test_known">
  <skipped type="pytest.xfail" message="not yet"/></testcase>
</testsuite></testsuites>"""


def check(tmp_path: Path, allowed: str) -> subprocess.CompletedProcess:
    report, listed = tmp_path / "report.xml", tmp_path / "allowed.txt"
    report.write_text(REPORT)
    listed.write_text(allowed)
    command = [sys.executable, str(PACK / ".ci/check_skips.py"), str(report), str(listed)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    "allowed",
    [
        "tests.test_a::test_gpu*  no GPU",
        "# comment\n\ntests.test_a::*   GPU  # why",
        "*::test_gpu*",
    ],
)
def test_a_skip_on_the_list_passes(tmp_path: Path, allowed: str):
    assert check(tmp_path, allowed).returncode == 0


@pytest.mark.parametrize("allowed", ["", "tests.test_b::*  no GPU", "tests.test_a::*  no node"])
def test_a_skip_that_is_not_on_the_list_fails_and_is_named(tmp_path: Path, allowed: str):
    done = check(tmp_path, allowed)
    assert done.returncode == 1
    assert "tests.test_a::test_gpu[1]: no GPU" in done.stdout
    assert "test_known" not in done.stdout
