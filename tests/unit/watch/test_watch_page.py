# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: complete, small, accessible, and never HTML of others."""

from __future__ import annotations

import html.parser
import re
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.watch.page import markup, render
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.style import CSS
from watch_facts import DAY, NOW, Facts, place
from watch_hosts import HOSTILE, crowded, document, hostile, hosts

VOID = {"meta", "br", "line", "rect", "circle", "path", "polyline"}


class Parsed(html.parser.HTMLParser):
    """The elements and the text of a page; fails when elements are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def page() -> str:
    return render.page(hosts(), NOW + 100)


@pytest.fixture(scope="module")
def parsed(page: str) -> Parsed:
    return Parsed(page)


def test_page_of_five_hosts_is_small_and_quick(page: str) -> None:
    assert len(page.encode()) < 200_000
    found = hosts()
    began = time.process_time()
    render.page(found, NOW + 100)
    assert time.process_time() - began < 0.1


def test_page_loads_nothing_and_runs_nothing(page: str, parsed: Parsed) -> None:
    names = {tag for tag, _attributes in parsed.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert not re.search(r"url\(|@import", CSS)
    for _tag, attributes in parsed.tags:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "style")]
        assert attributes.get("href", "#").startswith("#")  # type: ignore[union-attr]
    assert {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"} in (
        parsed.all("meta")
    )


def test_page_names_every_host_worst_first(parsed: Parsed) -> None:
    text = "".join(parsed.text)
    assert "Problems on 4 of 5 hosts" in text
    order = [text.index(name) for name in ("macbook", "oci-vm", "omnivibe-mac", "observer-vm", "demo")]
    assert order == sorted(order)


def test_page_shows_findings_with_their_commands(parsed: Parsed) -> None:
    text = "".join(parsed.text)
    for row in hosts()["oci-vm"]["findings"]:
        assert row["what"] in text
        assert row["fix"] in text


@pytest.mark.parametrize(
    "words",
    [
        "/srv/shop/data2",
        "unverifiable",
        "proven",
        "Where data lies, 2 of 4 would be lost",
        "Where data lies: all 3 are kept",
        "volume without a name",
        "lost at recreate",
        "environment.LEVEL: − a + b",
        "Backups of the last five weeks",
        "27 Nov: backup, rehearsed",
        "17 Nov: no backup known, rehearsed",
        "10 Nov: backup, rehearsal failed",
        "full in about",
        "Used room of /",
        "Launch attempts of vm",
        "web did not become healthy within 120 s",
        "rolled back",
        "Connection timed out",
        "no docker answers",
        "no answer within 4 s",
        "shop_uploads",
        "HTTP 200",
        "1 failed or stopped",
    ],
)
def test_page_of_hosts_with_faults_shows_each_part(parsed: Parsed, words: str) -> None:
    assert words in "".join(parsed.text)


def test_mount_without_evidence_of_data_is_not_in_the_data_map() -> None:
    found = document("demo", runs=1)
    found["stacks"][0]["mounts"]["places"] = [place("web", "/etc/shop", "bind", evidence=["mount"])]
    assert "Where data lies" not in render.page({"demo": found}, NOW)


def test_hostile_texts_stay_text() -> None:
    page = render.page({HOSTILE: hostile()}, NOW + 100)
    parsed = Parsed(page)
    names = {tag for tag, _attributes in parsed.tags}
    assert not names & {"script", "img"}
    assert page.count("<style>") == page.count("</style>") == 1
    for _tag, attributes in parsed.tags:
        assert not [key for key in attributes if key.startswith("on") or key == "src"]
    assert "\u202e" not in page
    assert "\x00" not in page
    assert "".join(parsed.text).count("<img src=x onerror=alert(1)>") > 30


def test_texts_of_every_field_reach_only_the_escaping_builder() -> None:
    """Every text of the document, spoiled one at a time, leaves the page without a foreign element."""
    found = document("x", ("unhealthy", "env file edited by hand"), runs=3)
    whole = Parsed(render.page({"x": found}, NOW)).tags

    def spots(value: object, way: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from spots(inner, (*way, key))
        elif isinstance(value, list):
            for number, inner in enumerate(value[:3]):
                yield from spots(inner, (*way, number))
        elif isinstance(value, str) and way[-1] not in ("severity", "code"):
            yield way

    tried = 0
    for way in list(spots(found)):
        spot: t.Any = found
        for step in way[:-1]:
            spot = spot[step]
        kept, spot[way[-1]] = spot[way[-1]], HOSTILE
        tags = {tag for tag, _attributes in Parsed(render.page({"x": found}, NOW)).tags}
        assert tags <= {tag for tag, _attributes in whole} | {"p", "small", "br", "span", "code", "strong"}, way
        spot[way[-1]] = kept
        tried += 1
    assert tried > 100


def test_labels_headings_and_tables_are_complete(parsed: Parsed) -> None:
    assert parsed.all("html")[0]["lang"] == "en"
    assert len(parsed.all("h1")) == 1
    levels = [int(tag[1]) for tag, _attributes in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all(attributes.get("scope") in ("row", "col") for attributes in parsed.all("th"))
    assert all(attributes.get("role") == "img" for attributes in parsed.all("svg"))
    assert len([tag for tag, _attributes in parsed.tags if tag == "svg"]) <= len(parsed.all("title")) - 1
    identities = [attributes["id"] for _tag, attributes in parsed.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    for _tag, attributes in parsed.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in identities
        if "href" in attributes:
            assert str(attributes["href"])[1:] in identities
        if attributes.get("tabindex") == "0":
            assert attributes.get("role") == "group"
            assert attributes.get("aria-label")


def luminance(colour: str) -> float:
    text = colour if len(colour) == 6 else "".join(2 * each for each in colour)
    parts = [int(text[number : number + 2], 16) / 255 for number in (0, 2, 4)]
    red, green, blue = (each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_of_text_have_enough_contrast(theme: int) -> None:
    block = re.findall(r":root\{(.*?)\}", CSS, re.DOTALL)[theme]
    colours = {name: luminance(value) for name, value in re.findall(r"--([\w-]+):#([0-9a-f]{3,6})", block)}

    def contrast(one: str, other: str) -> float:
        high, low = sorted((colours[one], colours[other]), reverse=True)
        return (high + 0.05) / (low + 0.05)

    pairs = [(text, ground) for text in ("ink", "soft") for ground in ("bg", "card", "track")]
    pairs += [(kind, f"{kind}-bg") for kind in ("good", "warning", "critical", "info", "none")]
    pairs += [("card", kind) for kind in ("good", "warning", "critical", "info", "none")]
    pairs += [("soft", "track"), ("critical", "card"), ("good", "card")]
    assert {pair: round(contrast(*pair), 1) for pair in pairs if contrast(*pair) < 4.5} == {}


def test_document_that_is_too_old_counts_as_no_data() -> None:
    text = "".join(Parsed(render.page({"demo": document("demo", runs=1)}, NOW + 3 * DAY)).text)
    assert "no data for 3 days" in text
    assert "Problems on 1 of 1 host" in text


def test_page_of_healthy_hosts_says_so() -> None:
    assert "<h1>All hosts are as promised</h1>" in render.page({"demo": document("demo", runs=1)}, NOW)


def test_page_of_no_hosts_is_a_page() -> None:
    assert "No hosts" in "".join(Parsed(render.page({}, NOW)).text)


def test_builder_escapes_attributes_and_children() -> None:
    made = markup.tag("p", '<b a="1">', class_='"><script>')
    assert made == '<p class="&quot;&gt;&lt;script&gt;">&lt;b a=&quot;1&quot;&gt;</p>'


def test_host_without_any_stack_is_drawn() -> None:
    found: Facts = {**document("demo", runs=1), "stacks": [], "disks": [], "launches": [], "endpoints": [], "units": {}}
    assert "demo" in "".join(Parsed(render.page({"demo": found}, NOW)).text)


def test_page_of_many_services_shows_problems_first_and_folds_the_others() -> None:
    page = render.page(crowded(), NOW + 100)
    assert len(page.encode()) < 200_000
    first, fold, others = page.partition("<summary>32 more services, all in order</summary>")
    assert fold
    table = first[first.rindex("<table") :]
    assert table.index("unhealthy") < table.index("healthy</span>")
    assert table.count("<tr>") == 1 + 8
    assert ">service-35</th>" in others
    assert "<summary>32 more sources of mounts, all proven</summary>" in others


def test_service_with_a_problem_is_never_folded() -> None:
    found = document("demo", runs=1)
    containers = found["stacks"][0]["live"]["containers"]
    containers += [
        {**containers[0], "service": f"s{number}", "status": "exited", "exit_code": 1} for number in range(20)
    ]
    shown, fold, _others = render.page({"demo": found}, NOW).partition("more services, all in order")
    assert fold
    assert shown.count("exited (1)") == 20


def test_card_of_a_host_names_the_worst_problem() -> None:
    cards = render.page(crowded(), NOW + 100).partition("</nav>")[0]
    for words in (
        "/srv has 2.0 GiB of 100.0 GiB free",
        "Connection timed out",
        "the newest backup of shop is 3 days old",
    ):
        assert words in cards


def test_host_with_nothing_but_a_finding_has_no_empty_table() -> None:
    text = "".join(Parsed(render.page({"bare": crowded()["bare"]}, NOW + 100)).text)
    assert "du -xh" in text
    assert "Endpoints, clock and units" not in text
