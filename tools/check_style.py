"""Check words, task names, test names, commit subjects and the prose of the documentation.

Every finding is one line: ``file:line: word: say X``. A line may keep a word with an escape that has a reason:
``style: keep WORD: REASON`` in a comment on that line (``<!-- -->`` in Markdown). An escape that keeps nothing is a
finding too. ``--count`` prints the figures of README and docs. The words are in style_words.py.
"""

from __future__ import annotations

import ast
import io
import pathlib
import re
import subprocess
import sys
import tokenize
import typing as t

import style_prose
import style_words
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Commit subjects are checked from the release this rule came with, or from what origin has.
RELEASED = "98a4a5c9c41f2084bb404fe6f4ee234bdccdf8ef"
TASK_FILES = re.compile(r"(^|/)(tasks|handlers|playbooks|molecule)/.*\.yml$|^site\.yml$")
ESCAPE = re.compile(r"style: keep ([^:]+): *(.*?)(?:\s*-->.*)?$")
# The words of STYLE in the files that define them are no findings there.
OWN = ("tools/style_words.py", "tools/style_prose.py", "tools/check_style.py", "tests/unit/tools/test_check_style.py")
# Figures of README and docs: the most that is accepted per 100 sentences.
LIMITS = {"what-clauses": 2.0, "semicolons": 6.0, "sentences over 30 words": 7.0}
# A key of YAML, also in the documentation of modules: names of options and returned values.
KEY = re.compile(r"^(\s*(?:- )?)[\w.-]+:(?=\s|$)")
MAX_NAME = 60
MAX_SUBJECT = 72


class Finding(t.NamedTuple):
    """One place, the words that are wrong in it, and the replacement."""

    path: str
    line: int
    word: str
    say: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word}: say {self.say}"


def words_in(path: str, lines: t.Iterable[tuple[int, str]]) -> t.Iterator[Finding]:
    """The refused words in lines of text."""
    for number, line in lines:
        for word in style_words.WORDS:
            if word.where in path:
                for match in word.pattern.finditer(line):
                    yield Finding(path, number, match.group(0), word.say)


def without_code(line: str) -> str:
    """A line without inline code, Jinja expressions, Ansible's markup and targets of links."""
    line = re.sub(r"``.*?``|`[^`]*`|\{\{.*?\}\}|\{%.*?%\}|<!--.*?-->", "``", line)
    line = re.sub(r"\b[COVMBIUEFRP]+\([^)]*\)|\]\([^)]*\)|https?://\S+", "``", line)
    return re.sub(
        r"[\w.-]*/[\w./*-]+|\b\w+(\.\w+)+|\b\w+(-\w+)*\.(yml|py|md|json|sh|toml|env)\b|--\w[\w-]*", "``", line
    )


def python_lines(path: str, text: str) -> t.Iterator[tuple[int, str]]:
    """Comments and docstrings of Python, and the strings with a space in them outside of tests."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    yield from ((token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT)
    tree = ast.parse(text)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr):
                docstrings.add(id(first.value))
    tests = path.startswith("tests/")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) in docstrings or (not tests and " " in node.value.strip()):
            yield from enumerate(node.value.split("\n"), start=node.lineno)


def yaml_lines(text: str) -> t.Iterator[tuple[int, str]]:
    """Lines of YAML without keys that are identifiers."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield number, KEY.sub(r"\1", line)


def text_lines(path: str, text: str) -> t.Iterator[tuple[int, str]]:
    """The lines of one file that people read, by the kind of file."""
    if path.endswith(".py"):
        lines = python_lines(path, text)
        if path.startswith(("plugins/modules/", "plugins/doc_fragments/")):
            lines = ((number, KEY.sub(r"\1", line)) for number, line in lines)
    elif path.endswith(".md"):
        lines = style_prose.prose_lines(text)
    else:
        lines = yaml_lines(text)
    return ((number, without_code(ESCAPE.sub("", line))) for number, line in lines)


def first_word(name: str) -> str:
    match = re.match(r"[A-Za-z]+", name)
    return match.group(0).lower() if match else ""


def task_names(path: str, text: str) -> t.Iterator[Finding]:
    """The problems of the names of plays, tasks and handlers."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("", lambda loader, suffix, node: None)
    for number, name in _names(yaml.compose(text, Loader=Loader)):
        # "Notify" and "listen" refer to handlers by name; a prefix "file | " is not part of the sentence.
        name = re.sub(r"\{\{.*?\}\}", "x", name).rpartition(" | ")[2]
        verb = first_word(name)
        if len(name) > MAX_NAME:
            yield Finding(path, number, f"{name!r} has {len(name)} characters", f"it in {MAX_NAME}")
        if verb in style_words.REFUSED_VERBS:
            yield Finding(path, number, f"{verb!r} in a task name", style_words.REFUSED_VERBS[verb])
        elif verb not in style_words.VERBS:
            say = "an imperative verb first, or add it to VERBS in tools/style_words.py"
            yield Finding(path, number, f"{verb!r} in a task name", say)
        yield from _pronouns(path, number, name, "task name")


def _names(node: yaml.Node | None) -> t.Iterator[tuple[int, str]]:
    """Line and value of each ``name`` of an entry in a list of plays or tasks; not of a module's arguments."""
    entries = node.value if isinstance(node, yaml.SequenceNode) else []
    for entry in entries:
        if not isinstance(entry, yaml.MappingNode):
            continue
        for key, value in entry.value:
            if key.value == "name" and isinstance(value, yaml.ScalarNode):
                yield value.start_mark.line + 1, value.value
            elif key.value in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
                yield from _names(value)


def _pronouns(path: str, number: int, name: str, kind: str) -> t.Iterator[Finding]:
    for word in re.findall(r"[a-z]+", without_code(name).lower()):
        if word in style_words.PRONOUNS:
            yield Finding(path, number, f"{word!r} in a {kind}", "the noun it refers to")


def headings(path: str, text: str) -> t.Iterator[Finding]:
    """Pronouns in the headings of Markdown."""
    for number, line in style_prose.prose_lines(text):
        if line.startswith("#"):
            yield from _pronouns(path, number, line, "heading")


def variables(path: str, text: str) -> t.Iterator[Finding]:
    """Variables with the name that the sanity tests refuse, minutes before they run."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store):
            yield Finding(path, node.lineno, "a variable '_'", "unused")


def test_names(path: str, text: str) -> t.Iterator[Finding]:
    """Names of tests that do not start with their subject, are too short, or have refused words."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            words = node.name.split("_")[1:]
            if words[0] in style_words.NOT_SUBJECTS:
                yield Finding(path, node.lineno, f"{words[0]!r} first in a test name", "the subject first")
            if len(words) < 3:
                yield Finding(path, node.lineno, node.name, "test_<what>_<condition>_<result>")
            yield from words_in(path, [(node.lineno, " ".join(words))])


def commit_subjects(root: pathlib.Path) -> t.Iterator[Finding]:
    """The problems of the commits since the release or the main branch of origin; none where there is no history."""
    base = next((commit for ref in ("origin/main", RELEASED) if (commit := _git(root, "merge-base", "HEAD", ref))), "")
    log = _git(root, "log", "--no-merges", "--format=%h %s", f"{base.strip()}..HEAD") if base else ""
    for line in log.splitlines():
        commit, unused, subject = line.partition(" ")
        yield from subject_findings(commit, subject)


def subject_findings(commit: str, subject: str) -> t.Iterator[Finding]:
    """The problems of one commit subject."""
    if len(subject) > MAX_SUBJECT:
        yield Finding(commit, 1, f"a subject of {len(subject)} characters", f"it in {MAX_SUBJECT}")
    if ";" in subject:
        yield Finding(commit, 1, "';' in a subject", "one thing; the body has the rest")
    if not re.match(r"[\w./*{}, -]{1,60}: \S", subject):
        yield Finding(commit, 1, f"the subject {subject!r}", "`area: what changes`")


def _git(root: pathlib.Path, *arguments: str) -> str:
    """What git prints; empty where git, the repository or the commit does not exist."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def escaped(path: str, lines: list[str], findings: t.Iterable[Finding]) -> t.Iterator[Finding]:
    """The findings without those that an escape on their line keeps; escapes without use or reason are added."""
    escapes = {number: match for number, line in enumerate(lines, start=1) if (match := ESCAPE.search(line))}
    used = set()
    for finding in findings:
        match = escapes.get(finding.line)
        if match and match.group(1).strip().lower() in finding.word.lower():
            used.add(finding.line)
        else:
            yield finding
    for number, match in escapes.items():
        if not match.group(2).strip():
            yield Finding(path, number, "an escape without a reason", "`style: keep WORD: REASON`")
        elif number not in used:
            yield Finding(path, number, f"an escape for {match.group(1)!r}, which is not refused", "nothing: remove it")


def check_file(path: str, text: str) -> list[Finding]:
    """All findings of one file; ``path`` is relative to the root."""
    findings = list(words_in(path, text_lines(path, text)))
    if path.endswith(".md"):
        findings += headings(path, text)
    elif path.endswith(".py"):
        findings += variables(path, text)
        if path.startswith("tests/"):
            findings += test_names(path, text)
    elif TASK_FILES.search(path):
        findings += task_names(path, text)
    return sorted(escaped(path, text.splitlines(), findings), key=lambda finding: (finding.line, finding.word))


def is_prose(path: str) -> bool:
    """Whether the figures count this file."""
    return path == "README.md" or (path.startswith("docs/") and path.endswith(".md"))


def figures(counts: t.Mapping[str, style_prose.Count]) -> list[str]:
    """The figures that are over their limit: of all texts together, with the lines that contribute."""
    total = sum(counts.values(), style_prose.Count())
    found = []
    for name, lines_of in (
        ("what-clauses", lambda count: count.whats),
        ("semicolons", lambda count: count.semicolons),
        ("sentences over 30 words", lambda count: count.longs),
    ):
        rate = total.per_hundred(len(lines_of(total)))
        if rate > LIMITS[name]:
            lines = [f"{path}:{line}" for path, count in counts.items() for line in lines_of(count)]
            found.append(f"{name}: {rate:.1f} per 100 sentences, at most {LIMITS[name]:g}: {', '.join(lines)}")
    return found


def table(counts: t.Mapping[str, style_prose.Count]) -> str:
    """The figures of each text, for people."""
    rows = [f"{'':45} sentences  what     ;   you  >30"]
    for path, count in [*sorted(counts.items()), ("all", sum(counts.values(), style_prose.Count()))]:
        numbers = (len(count.whats), len(count.semicolons), count.you, len(count.longs))
        rows.append(f"{path:45} {count.sentences:9}" + "".join(f" {count.per_hundred(one):5.1f}" for one in numbers))
    return "\n".join(rows)


def tracked(root: pathlib.Path) -> list[str]:
    """The files of the project that are read: those git knows or would add, else those outside of hidden folders."""
    listed = _git(root, "ls-files", "--cached", "--others", "--exclude-standard").split("\n")
    if listed == [""]:
        listed = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        listed = [path for path in listed if not path.startswith(".")]
    kept = [path for path in listed if path.endswith((".py", ".md", ".yml", ".j2")) and (root / path).is_file()]
    return sorted(path for path in kept if path not in OWN)


def main(arguments: list[str]) -> int:
    """Print the findings; with paths, those of these files also while they are pending. 1 when there are any."""
    paths = tracked(ROOT)
    wanted = tuple(one for one in arguments if not one.startswith("--"))
    counts = {path: style_prose.count((ROOT / path).read_text()) for path in paths if is_prose(path)}
    if "--count" in arguments:
        print(table(counts))
        return 0
    findings = []
    for path in paths:
        if path.startswith(wanted) if wanted else not path.startswith(style_words.PENDING + style_words.KEPT):
            findings += check_file(path, (ROOT / path).read_text())
    lines = [str(finding) for finding in findings]
    if not wanted:
        lines += map(str, commit_subjects(ROOT))
        if not any("docs/".startswith(entry) or entry == "README.md" for entry in style_words.PENDING):
            lines += figures(counts)
    print("\n".join(lines) or "style: clean")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
