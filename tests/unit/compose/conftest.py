"""Fixtures of this directory. Its tests can import its helper modules."""

from __future__ import annotations

import pathlib
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import image_tags

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture
def paper(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """A host on paper with one stack, whose source is written."""
    from paper_engine import Paper

    for name in ("tag", "untag"):
        monkeypatch.setattr(image_tags.Tagger, name, lambda *words: None)
    paper = Paper(tmp_path, monkeypatch)
    paper.write()
    return paper


@pytest.fixture
def place(tmp_path: pathlib.Path):
    """An empty deploy directory with its source and state."""
    from deploy_place import Place

    return Place(tmp_path)
