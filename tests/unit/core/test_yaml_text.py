# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Written YAML is read back unchanged."""

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.core import yaml_text
from hypothesis import given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=12)
TRICKY = st.sampled_from(
    [
        "yes",
        "NO",
        "1:30",
        "0x1f",
        "1e3",
        ".5",
        "-",
        "~",
        "null",
        "a: b",
        "# a",
        "- a",
        "a:",
        "=",
        "<<",
        "{}",
        "2026-01-01",
    ]
)
SCALARS = st.one_of(TEXT, TRICKY, st.integers(-(10**9), 10**9), st.booleans(), st.none())
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT | TRICKY, inner, max_size=3))
)


@settings(deadline=None, max_examples=60)
@given(DOCUMENTS)
def test_written_document_is_read_back_unchanged(document):
    text = yaml_text.dump(document, ["a comment\nof two lines"])
    assert yaml.safe_load(text) == document


@pytest.mark.parametrize("word", ["nginx:1.27", "/srv/data", "service_healthy", "registry.example.org:5000/a/b"])
def test_plain_word_has_no_quotes(word):
    assert yaml_text.scalar(word) == word
