"""Hostile workflow JSON gives errors, not a dead server, and writes nothing outside its folders.

hostile_graphs.py makes the graphs from SEED. All are posted to the real server before the first
test asks what became of them.
"""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hostile_graphs import (
    SECONDS,
    SHORT_SPEECH,
    STYLE,
    Case,
    of_odd_shape,
    whole,
    with_holes,
    with_paths,
    with_values,
)
from node_graphs import noise, provide_files
from synthetic_media import write_sound
from tiny_models import save_tiny_style

from tools.hosting.server import ComfyServer

pytestmark = pytest.mark.server

SEED = 20250806
DRAWS = 2
"""Hostile values for each input of each node."""
LEAST = 200
SECRET = "secret.mp4"


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    case: Case
    status: int
    """Of HTTP: 200 taken, 400 refused."""
    answer: dict[str, Any]
    record: dict[str, Any] | None = None
    """Of the run, if it was taken."""

    @property
    def failure(self) -> dict[str, Any] | None:
        """The error that ended the run."""
        messages = self.record["status"]["messages"] if self.record else []
        return next((told for name, told in messages if name == "execution_error"), None)

    @property
    def blamed(self) -> set[str]:
        """The nodes that were named."""
        if self.failure:
            return {self.failure["node_id"]}
        return set(self.answer.get("node_errors") or ())

    @property
    def words(self) -> str:
        """All that was said."""
        return json.dumps([self.answer, self.failure])


@dataclass(frozen=True)
class Assault:
    """All outcomes, and what the disk held before."""

    host: ComfyServer
    guard: Path
    outcomes: list[Outcome]
    before: dict[str, tuple[int, int]]
    log_start: int


@pytest.fixture(scope="module")
def assault(comfyui: ComfyServer) -> Assault:
    host = provide_files(comfyui)
    write_sound(host.input / SHORT_SPEECH, noise(SECONDS), "pcm_s16le")
    save_tiny_style(host.models / "lipstyle" / STYLE)
    guard = host.base.parent / "guarded"
    guard.mkdir()
    for name in ("secret", SECRET):
        (guard / name).write_text("not yours")
    host.run(whole(), timeout=120)  # so that the caches of the file lists are there
    before, log_start = outside_of_outputs(host, guard), host.log.stat().st_size
    cases = [*with_values(SEED, DRAWS), *with_paths(guard), *with_holes(), *of_odd_shape()]
    posted = [(case, *post(host, case.graph)) for case in cases]
    outcomes = [
        Outcome(case, status, answer, host.wait(answer["prompt_id"]) if status == 200 else None)
        for case, status, answer in posted
    ]
    return Assault(host, guard, outcomes, before, log_start)


def post(host: ComfyServer, graph: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    body = json.dumps({"prompt": graph}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{host.url}/prompt", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        told = error.read()
        return error.code, json.loads(told) if error.code == 400 else {"error": repr(told)}


def outside_of_outputs(host: ComfyServer, guard: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file beside ComfyUI's folder and in the parts of it that are not there
    for results."""
    own = ("output", "temp", "user", "comfyui.log")
    found = [*guard.rglob("*"), *host.base.parent.glob("*"), *host.base.glob("*")]
    for folder in ("input", "models", "custom_nodes"):
        found += (host.base / folder).rglob("*")
    kept = [path for path in found if path != host.base and path.name not in own]
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns * path.is_file())
        for path in kept
    }


def named(outcomes: list[Outcome]) -> list[str]:
    return [f"{outcome.case.name}: {outcome.words[:300]}" for outcome in outcomes]


def test_there_are_many_cases(assault):
    names = [outcome.case.name for outcome in assault.outcomes]
    assert len(names) >= LEAST
    assert sum(outcome.status == 400 for outcome in assault.outcomes) > LEAST / 4
    assert sum(outcome.failure is not None for outcome in assault.outcomes) > LEAST / 10


def test_every_case_is_answered(assault):
    odd = [outcome for outcome in assault.outcomes if outcome.status not in (200, 400)]
    assert not named(odd)


def test_every_refusal_and_every_error_names_a_node_of_the_graph(assault):
    """What is neither refused nor ends in an error ran, and was harmless. Of a cycle the host says
    only that it does not run."""
    silent = [
        outcome
        for outcome in assault.outcomes
        if (outcome.status == 400 or outcome.failure)
        and not (outcome.blamed and outcome.blamed <= set(outcome.case.graph))
        and "feed" not in outcome.case.name
    ]
    assert not named(silent)
    unfinished = [
        outcome
        for outcome in assault.outcomes
        if outcome.record
        and not outcome.failure
        and outcome.record["status"]["status_str"] != "success"
    ]
    assert not named(unfinished)


def test_no_word_of_a_file_outside_gets_out(assault):
    told = [outcome for outcome in assault.outcomes if "not yours" in outcome.words]
    assert not named(told)


def test_nothing_is_written_outside_of_comfyuis_folders_for_results(assault):
    assert outside_of_outputs(assault.host, assault.guard) == assault.before


def test_messages_stay_short(assault):
    """A name of 100,000 letters is not repeated in full by us."""
    loud = [
        outcome
        for outcome in assault.outcomes
        if outcome.failure and len(outcome.failure["exception_message"]) > 10_000
    ]
    assert not named(loud)


def test_the_server_has_met_nothing_that_it_did_not_expect(assault):
    with assault.host.log.open("rb") as log:
        log.seek(assault.log_start)
        words = log.read().decode("utf-8", "replace")
    for sign in ("Error handling request", "Exception in thread", "Unhandled", "Fatal"):
        assert sign not in words, words[words.find(sign) - 2000 :][:4000]


def test_the_server_lives_on_and_runs_the_ordinary_graph(assault):
    graph = whole()
    spoken = next(n for n, node in graph.items() if node["class_type"] == "LipStyleLipSync")
    graph[spoken]["inputs"]["seed"] = time.time_ns() % 2**32
    (path,) = assault.host.output_files(assault.host.run(graph, timeout=60))
    assert path.stat().st_size > 1000
    assault.host.check_alive()
