# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headless Chromium for the page: what axe-core finds, how long a rendering takes, and screenshots.

``python tests/integration/watch/browser.py docs/how-to/images`` writes the screenshots of the how-to. OBX_CHROMIUM
names another browser than the one in PATH.
"""

from __future__ import annotations

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t

import small_png

ROOT = pathlib.Path(__file__).resolve().parents[3]
AXE = "axe-core@4.10.2"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WIDE, PHONE, NARROW = (1100, 1500), (390, 1300), (360, 800)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_ANSWER = re.compile(r'<pre id="answer">(.*?)</pre>', re.DOTALL)
_WAIT = 120


def find() -> str:
    """The command of the browser, "" where there is none."""
    return os.environ.get("OBX_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")


def axe(folder: pathlib.Path) -> str:
    """The script of axe-core, from the npm registry by npm itself.

    Raises:
        OSError, subprocess.CalledProcessError: npm is missing or cannot reach its registry.
    """
    subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True, timeout=_WAIT)
    (packed,) = folder.glob("axe-core-*.tgz")
    with tarfile.open(packed) as archive:
        stream = archive.extractfile("package/axe.min.js")
        assert stream is not None
        return stream.read().decode()


class Browser:
    """One browser, in light or dark, wide or as a phone."""

    def __init__(self, command: str, *, dark: bool = False, size: tuple[int, int] = WIDE) -> None:
        self._command, self._dark, self._size = command, dark, size

    def answer(self, page: str, script: str) -> t.Any:
        """What ``script`` passes to its function ``answer``; None if the page's policy forbids to run it."""
        asked = "<script>function answer(value){let p=document.createElement('pre');p.id='answer';"
        asked += f"p.textContent=JSON.stringify(value);document.documentElement.append(p)}}\n{script}</script></body>"
        dom = self._run(page.replace("</body>", asked), "--virtual-time-budget=60000", "--dump-dom")
        found = _ANSWER.search(dom)
        return json.loads(html.unescape(found[1])) if found else None

    def violations(self, page: str, axe_script: str) -> list[str]:
        """One line for each element that breaks a rule of axe-core."""
        script = axe_script + "\naxe.run().then(found => answer(found.violations.map(rule => [rule.id, rule.help, "
        script += "rule.nodes.map(node => node.html)]).concat([['passes', found.passes.length, []]])))"
        rows = self.answer(unlocked(page), script)
        assert rows, "axe-core did not run"
        assert rows.pop()[1] > 15, "axe-core checked next to nothing"
        return [f"{rule}: {words}: {node}" for rule, words, nodes in rows for node in nodes]

    def scrolls_sideways(self, page: str) -> bool:
        """Whether the page is wider than the screen."""
        root = "document.documentElement"
        return bool(self.answer(unlocked(page), f"answer({root}.scrollWidth > {root}.clientWidth)"))

    def overflows(self, page: str) -> list[str]:
        """The elements whose text runs out of them, or out of the screen. Tables may scroll in their frames."""
        script = "const wide=document.documentElement.clientWidth,found=[];"
        script += "for(const each of document.querySelectorAll('body *')){"
        script += "const frame=each.closest('.scroll'),box=each.getBoundingClientRect();"
        script += "if(each.closest('.hide,.skip,thead,svg')||!box.width)continue;"
        script += "if(frame&&frame!==each&&frame.scrollWidth>frame.clientWidth&&wide>640)continue;"
        script += "const own=each.scrollWidth>each.clientWidth+1&&each.clientWidth&&!each.matches('.scroll');"
        script += "if(box.right>wide+1||box.left<-1||own)found.push(each.outerHTML.slice(0,200))}answer(found)"
        return list(self.answer(unlocked(page), script))

    def rendered(self, page: str) -> float:
        """Milliseconds of a layout of the whole page from nothing, the least of ten."""
        script = "let b=document.body,d=[];for(let n=0;n<10;n++){b.style.display='none';b.offsetHeight;"
        script += "let s=performance.now();b.style.display='';b.offsetHeight;d.push(performance.now()-s)}"
        script += "answer(Math.min(...d))"
        return float(self.answer(unlocked(page), script))

    def screenshot(self, page: str, path: pathlib.Path) -> None:
        """Write the top of the page as a small PNG."""
        self._run(page, "--hide-scrollbars", f"--screenshot={path}")
        path.write_bytes(small_png.shrink(path.read_bytes()))

    def _run(self, page: str, *words: str) -> str:
        with tempfile.TemporaryDirectory(prefix="obx-browser-") as folder:
            path = pathlib.Path(folder, "page.html")
            path.write_text(page)
            scheme = "0" if self._dark else "1"
            argv = [self._command, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
            argv += [f"--blink-settings=preferredColorScheme={scheme}", "--window-size={},{}".format(*self._size)]
            done = subprocess.run(
                [*argv, *words, path.as_uri()], capture_output=True, text=True, timeout=_WAIT * 5, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout


def unlocked(page: str) -> str:
    """The page without its policy, so that a test may run a script in it."""
    assert _POLICY.search(page)
    return _POLICY.sub("", page)


def example(kind: str = "hosts") -> str:
    """The page of the five hosts of the unit tests: ``hosts``, or ``crowded`` with long names and many services."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "unit" / "watch")]
    __import__("conftest")
    import watch_hosts
    from ansible_collections.onebox.stack.plugins.module_utils.watch.page import render
    from watch_facts import NOW

    return render.page(getattr(watch_hosts, kind)(), NOW + 100)


def main(folder: str) -> None:
    """Write the three screenshots, and print how large the page is and how long its layout takes."""
    page = example()
    print(f"{len(page.encode())} bytes, {Browser(find()).rendered(page):.0f} ms on this machine")
    for name, dark, size in (("light", False, WIDE), ("dark", True, WIDE), ("phone", False, PHONE)):
        path = pathlib.Path(folder).resolve() / f"report-{name}.png"
        Browser(find(), dark=dark, size=size).screenshot(page, path)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
