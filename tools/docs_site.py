"""Build the documentation site in .cache/site: the pages of docs/ and the roles, and the reference of all plugins.

    python tools/docs_site.py          build; each warning of antsibull-docs or Sphinx is an error

The pages are the Markdown of the repository. antsibull-docs writes the reference from the plugins' documentation.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-docs.txt"
CACHE = ROOT / ".cache" / "docs"
SITE = ROOT / ".cache" / "site"
FIRST = "docs/how-to/five-minutes"
# Section -> pages, in the order of the side bar.
SECTIONS = {
    "How-to": ("docs/how-to/*",),
    "Reference": ("docs/*", "docs/reference/*", "docs/reference/stacks/*", "roles/*/README"),
    "Explanation": ("docs/explanation/*",),
}
CONFIG = """
from pygments.lexers.special import TextLexer

project = "onebox.stack"
copyright = "The onebox.stack developers"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
html_theme = "sphinx_ansible_theme"
html_title = "onebox.stack"
html_show_sphinx = False
myst_heading_anchors = 4


def setup(app):
    # GitHub draws these diagrams. Here they are text.
    app.add_lexer("mermaid", TextLexer)
"""
# The reference links to labels of Ansible's own site, which a build without network cannot read.
LABELS = {
    "action_plugins": "https://docs.ansible.com/ansible/latest/plugins/action.html",
    "ansible_configuration_settings": "https://docs.ansible.com/ansible/latest/reference_appendices/config.html",
    "callback_plugins": "https://docs.ansible.com/ansible/latest/plugins/callback.html",
    "common_return_values": "https://docs.ansible.com/ansible/latest/reference_appendices/common_return_values.html",
}


class SiteError(Exception):
    """The site cannot be built. The text has the warnings."""


def programs(folder: pathlib.Path) -> pathlib.Path:
    """The programs of a virtual environment with Sphinx, created in ``folder`` if it is missing or outdated."""
    stamp = folder / ".installed"
    wanted = REQUIREMENTS.read_text() + (ROOT / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("docs: installing Sphinx", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
        stamp.write_text(wanted)
    return folder / "bin"


def run(words: list[str], env: dict[str, str]) -> str:
    """Run a program that must neither fail nor warn. Returns its output.

    Raises:
        SiteError: it failed.
    """
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SiteError(done.stdout[-2000:] + done.stderr[-6000:])
    return done.stdout + done.stderr


def copy_pages(root: pathlib.Path, source: pathlib.Path) -> None:
    """Copy the pages and the files that they link to."""
    pages = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("roles/*/README.md")]
    linked = {path for page in pages for path in _linked(page) if path.is_file()}
    for path in {*pages, *linked}:
        target = source / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _linked(page: pathlib.Path) -> list[pathlib.Path]:
    return [(page.parent / name).resolve() for name in re.findall(r"\]\(([^)#:\s]+)", page.read_text())]


def index(modules: str) -> str:
    """The start page: the first how-to, then all other pages by section."""
    lines = ["# onebox.stack", "", "```{toctree}", ":maxdepth: 1", "", FIRST, "README", "docs/README", "```", ""]
    for title, pages in SECTIONS.items():
        lines += ["```{toctree}", f":caption: {title}", ":maxdepth: 1", ":glob:", "", *pages]
        lines += [modules, "ansible"] if title == "Reference" else []
        lines += ["```", ""]
    return "\n".join(lines)


def ansible_pages() -> str:
    """A page with the labels of Ansible's own site, each with its link."""
    lines = ["Ansible", "=======", ""]
    for label, link in LABELS.items():
        title = label.replace("_", " ").capitalize()
        lines += [f".. _{label}:", "", title, "-" * len(title), "", link, ""]
    return "\n".join(lines)


def build(root: pathlib.Path, bin_folder: pathlib.Path, site: pathlib.Path) -> int:
    """Build the site. Returns the number of pages.

    Raises:
        SiteError: a program failed or warned.
    """
    source = CACHE / "source"
    shutil.rmtree(source, ignore_errors=True)
    (source / "collections").mkdir(parents=True)
    copy_pages(root, source)
    env = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(root / ".collections"),
    }
    words = ["collection", "--use-current", "--fail-on-error", "--squash-hierarchy", "--no-add-antsibull-docs-version"]
    run([str(bin_folder / "antsibull-docs"), *words, "--dest-dir", str(source / "collections"), "onebox.stack"], env)
    (source / "conf.py").write_text(CONFIG)
    (source / "ansible.rst").write_text(ansible_pages())
    (source / "index.md").write_text(index("collections/index"))
    shutil.rmtree(site, ignore_errors=True)
    run([str(bin_folder / "sphinx-build"), "-q", "-W", "--keep-going", "-b", "html", str(source), str(site)], env)
    return sum(1 for _page in site.rglob("*.html"))


def main() -> None:
    """Run the command line."""
    try:
        pages = build(ROOT, programs(CACHE / "venv"), SITE)
    except SiteError as error:
        raise SystemExit(f"docs: {error}") from error
    print(f"docs: {pages} pages without a warning, first page .cache/site/index.html")


if __name__ == "__main__":
    main()
