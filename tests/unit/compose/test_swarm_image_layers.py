# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of an image's layers, from its history: instructions without a layer are in it, too."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.image_layers import Layer, chains, layers
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.node_images import Image
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import SocketEngine

LAYERS = ["sha256:a", "sha256:b", "sha256:c"]
CHAINS = ["sha256:a"]
CHAINS.append(hashlib.sha256(b"sha256:a sha256:b").hexdigest())
CHAINS.append(hashlib.sha256(f"{CHAINS[1]} sha256:c".encode()).hexdigest())


class History(SocketEngine):
    """Docker with one image; newest instruction first."""

    name = "docker"

    def __init__(self, *rows):
        self.rows = rows

    def get(self, path, **query):
        assert path == "/images/sha256:x/history"
        return [{"CreatedBy": text, "Size": size} for text, size in self.rows]


def body(size):
    return {"Id": "sha256:x", "Size": size, "RootFS": {"Layers": LAYERS}}


# As docker.io's python and a build upon it have it.
HISTORY = [
    ('CMD ["python3"]', 0),
    ("COPY app /app # buildkit", 100),
    ("WORKDIR /app", 0),
    ("ENV A=b", 0),
    ("/bin/sh -c #(nop)  EXPOSE 80", 0),
    ("RUN /bin/sh -c apt-get update # buildkit", 300),
]


def test_layers_of_instructions_have_their_sizes_and_hashes():
    assert chains(body(0)) == CHAINS
    found = layers(History(*HISTORY), body(400))
    assert found == [Layer(CHAINS[0], 300, 300), Layer(CHAINS[1], 0, 0), Layer(CHAINS[2], 100, 100)]


def test_layers_of_containerd_are_smaller_in_an_archive():
    assert [row.packed for row in layers(History(*HISTORY), body(200))] == [150, 0, 50]


def test_history_with_another_number_of_layers_counts_for_the_topmost():
    found = layers(History(("unknown", 0), *HISTORY), body(400))
    assert [row.size for row in found] == [0, 0, 400]


def test_image_that_no_deploy_reported_is_an_error():
    with pytest.raises(ComposeError, match="is not an image that compose_stack reports"):
        Image.parse({"reference": "web:1"})
