"""Text that tools/options.py writes: YAML, Markdown and parts of files."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import yaml

WIDTH = 110
Yaml = t.Any
# C(http(s)://host) holds parentheses.
_INSIDE = r"((?:[^()]|\([^()]*\))*)"


def is_template(value: Yaml) -> bool:
    """Whether Ansible would template the value."""
    return isinstance(value, str) and "{{" in value


def replaced(path: pathlib.Path, begin: str, end: str, text: str) -> str:
    """The content of a file with ``text`` between two lines.

    Raises:
        ValueError: the lines are missing.
    """
    before, found, rest = path.read_text().partition(f"{begin}\n")
    unused, closed, after = rest.partition(f"{end}\n")
    if not found or not closed:
        raise ValueError(f"{path}: the lines {begin!r} and {end!r} are missing")
    return f"{before}{begin}\n{text}{end}\n{after}"


def referring(text: str, named: t.Mapping[str, str]) -> str:
    """Ansible's markup with references to options of a module as references to variables of a role.

    Args:
        text: the markup.
        named: option -> variable, "" for an option that the role does not have.
    """

    def replace(found: re.Match[str]) -> str:
        option, rest = found.group(1), found.group(2)
        return f"O({named[option]}{rest})" if named.get(option) else f"C({option}{rest})"

    return re.sub(r"\bRV\(([^)]*)\)", r"C(\1)", re.sub(r"\bO\((\w+)([^)]*)\)", replace, text))


def markdown(text: str) -> str:
    """Ansible's markup as Markdown."""
    text = re.sub(r"\bP\(([^)#]*)#\w+\)", r"`\1`", text)
    return re.sub(rf"\b(?:RV|[OVCFEM])\({_INSIDE}\)", r"`\1`", text)


def cell(text: str) -> str:
    """Text as a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def default_cell(value: Yaml) -> str:
    """A default as a cell of a Markdown table."""
    if is_template(value):
        value = value.replace("{{ ansible_facts['user_dir'] }}", "~")
        value = re.sub(r"\{\{ (\w+) \}\}", r"<\1>", value)
        if is_template(value):
            return "see meaning"
    return cell(f"`{value if isinstance(value, str) and value else json.dumps(value)}`")


class _Paragraphs(list[str]):
    """Paragraphs of a description."""


class _Dumper(yaml.SafeDumper):
    """Block style as yamllint wants it; lists of plain values in one line, long text folded."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _write_str(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    analysis = dumper.analyze_scalar(value)
    # A word like "true" is text only in quotes.
    plain = value and analysis.allow_block_plain and isinstance(_loaded(value), str)
    style = None if plain else '"'
    if not plain and len(value) > WIDTH - 30 and not is_template(value):
        style = ">"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _loaded(text: str) -> Yaml:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _write_list(dumper: yaml.SafeDumper, value: list[Yaml]) -> yaml.Node:
    block = isinstance(value, _Paragraphs) or any(isinstance(each, (dict, list)) for each in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=not block)


def _write_dict(dumper: yaml.SafeDumper, value: dict[str, Yaml]) -> yaml.Node:
    # A default like {daily: 7} is short.
    short = all(isinstance(each, int) for each in value.values())
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=short)


_Dumper.add_representer(str, _write_str)
_Dumper.add_representer(list, _write_list)
_Dumper.add_representer(_Paragraphs, _write_list)
_Dumper.add_representer(dict, _write_dict)


def _with_paragraphs(value: Yaml) -> Yaml:
    if not isinstance(value, dict):
        return value
    return {
        key: _Paragraphs(inner) if key == "description" and isinstance(inner, list) else _with_paragraphs(inner)
        for key, inner in value.items()
    }


def dumped(value: dict[str, Yaml]) -> str:
    """YAML text of a mapping."""
    text: str = yaml.dump(_with_paragraphs(value), Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True)
    return text


def flat(key: str, value: Yaml) -> str:
    """One key of a mapping in one line of YAML."""
    text: str = yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    # The mapping around it is written as a block, but one value may have been written as a short mapping.
    return text if not text.startswith("{") else f"{text.strip()[1:-1]}\n"
