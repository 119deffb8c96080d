# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in headless Chromium: accessible in light and dark, wide and narrow, and safe by its policy."""

from __future__ import annotations

import pathlib
import subprocess

import browser
import pytest
from browser import NARROW, PHONE, WIDE, Browser
from onebox_testbed import packages
from onebox_testbed.base import TestbedError

LOOKS = {"light": (False, WIDE), "dark": (True, WIDE), "phone": (False, PHONE), "dark phone": (True, PHONE)}
IMAGES = browser.ROOT / "docs" / "how-to" / "images"


@pytest.fixture(scope="module")
def command() -> str:
    """The browser, which the testbed installs where the system is Debian."""
    if not browser.find():
        try:
            packages.ensure("chromium-headless-shell")
        except TestbedError as error:
            pytest.skip(f"there is no Chromium, and it cannot be installed: {error}")
    return browser.find()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    try:
        return browser.axe(tmp_path_factory.mktemp("axe"))
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"npm cannot download axe-core: {error}")


@pytest.fixture(scope="module")
def page() -> str:
    return browser.example()


@pytest.fixture(scope="module")
def crowded() -> str:
    return browser.example("crowded")


@pytest.mark.parametrize("look", LOOKS)
def test_page_breaks_no_rule_of_axe(command: str, axe: str, page: str, look: str) -> None:
    dark, size = LOOKS[look]
    assert Browser(command, dark=dark, size=size).violations(page, axe) == []


@pytest.mark.parametrize("look", LOOKS)
def test_crowded_page_breaks_no_rule_of_axe(command: str, axe: str, crowded: str, look: str) -> None:
    dark, size = LOOKS[look]
    assert Browser(command, dark=dark, size=size).violations(crowded, axe) == []


def test_axe_finds_a_picture_without_words_and_a_faint_text(command: str, axe: str, page: str) -> None:
    """The check itself: what is broken on purpose is named."""
    broken = page.replace("<h1>", '<img src="x.png"><h1 style="color:#eee">', 1)
    found = {line.partition(":")[0] for line in Browser(command).violations(broken, axe)}
    assert {"image-alt", "color-contrast"} <= found


def test_scripts_do_not_run_under_the_policy_of_the_page(command: str, page: str) -> None:
    assert Browser(command).answer(page, "answer(1)") is None
    assert Browser(command).answer(browser.unlocked(page), "answer(1)") == 1


def test_page_fits_a_phone_without_scrolling_sideways(command: str, page: str) -> None:
    assert Browser(command, size=PHONE).scrolls_sideways(page) is False
    wide = page.replace("<h1>", f"<pre>{'x' * 500}</pre><h1>", 1)
    assert Browser(command, size=PHONE).scrolls_sideways(wide) is True


@pytest.mark.parametrize("size", [NARROW, PHONE, (768, 900), WIDE, (1920, 1000)], ids=lambda size: f"{size[0]}px")
def test_text_of_long_names_stays_in_its_element(command: str, page: str, crowded: str, size: tuple[int, int]) -> None:
    assert Browser(command, size=size).overflows(page) == []
    assert Browser(command, size=size).overflows(crowded) == []


def test_overflow_of_a_text_is_found(command: str, page: str) -> None:
    """The check itself: a name that may not wrap is named."""
    broken = page.replace("</style>", "h2{white-space:nowrap}</style>", 1).replace(">oci-vm</h2>", f">{'x' * 80}</h2>")
    assert any("<h2" in each for each in Browser(command, size=NARROW).overflows(broken))


def test_screenshots_of_the_how_to_are_small() -> None:
    text = (browser.ROOT / "docs" / "how-to" / "watch.md").read_text(encoding="utf-8")
    found = sorted(IMAGES.glob("report-*.png"))
    assert [path.name for path in found] == ["report-dark.png", "report-light.png", "report-phone.png"]
    for path in found:
        assert f"images/{path.name}" in text
        assert path.stat().st_size < 150_000, path.name
        assert pathlib.Path(path).read_bytes().startswith(b"\x89PNG")
