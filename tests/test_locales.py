"""The nodes' texts in every language: all of them there, none left over, none that breaks."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_nodes import NODE_CLASSES

LOCALES = Path(__file__).parents[1] / "locales"
LANGUAGES = ("en", "zh")
ENGLISH = json.loads((LOCALES / "en" / "nodeDefs.json").read_text("utf-8"))


def texts(language: str) -> dict[str, Any]:
    return json.loads((LOCALES / language / "nodeDefs.json").read_text("utf-8"))


def shape(part: Any) -> Any:
    """The keys, all the way down."""
    return {key: shape(value) for key, value in part.items()} if isinstance(part, dict) else None


def leaves(part: Any, path: str = "") -> dict[str, str]:
    """Every text by its path."""
    if not isinstance(part, dict):
        return {path: part}
    found: dict[str, str] = {}
    for key, value in part.items():
        found |= leaves(value, f"{path}.{key}")
    return found


def test_every_node_has_english_texts_and_no_other():
    assert set(ENGLISH) == set(NODE_CLASSES)


def test_only_the_languages_that_are_kept_up():
    assert {path.name for path in LOCALES.iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_exactly_the_texts_of_english(language):
    """Inputs and outputs of every node: none missing, none left over."""
    found, needed = leaves(shape(texts(language))), leaves(shape(ENGLISH))
    assert sorted(set(needed) - set(found)) == [], "missing"
    assert sorted(set(found) - set(needed)) == [], "left over"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_broken_by_the_browser(language):
    """{}, @ and | are orders to the browser's translator."""
    for path, text in leaves(texts(language)).items():
        assert text == text.strip() != "", path
        assert not re.search(r"[{}@|]", text), path


def test_chinese_is_chinese():
    """Names of policies and folders may stay; each text has characters of its own."""
    for path, text in leaves(texts("zh")).items():
        assert re.search(r"[\u4e00-\u9fff]", text), path


def test_chinese_nodes_name_each_other_as_they_are_called():
    """A name in quotation marks is that of a node, or a choice of a list."""
    chinese = texts("zh")
    names = {node["display_name"] for node in chinese.values()}
    assert len(names) == len(chinese)
    for path, text in leaves(chinese).items():
        for quoted in re.findall("“([^”]+)”", text):
            assert quoted in names or quoted.isascii(), f"{path}: {quoted}"
