"""Write the options of the roles from one source.

A role's variables are described in ``roles/<role>/meta/options.yml`` and in the documentation of the modules that the
role calls. From these this program writes:

- ``defaults/main.yml`` and ``meta/argument_specs.yml``;
- the table in ``README.md``, between its two markers;
- the options that the role passes to modules, between two markers in ``vars/main.yml``.

Keys of ``options.yml``:

- ``short_description``, ``description``: of the role.
- ``modules``: modules whose options are variables of the role, each named after the option.
- ``without``: options of these modules that the role does not offer.
- ``passed``: variable in ``vars/main.yml`` -> modules. It gets the options that all of them have.
- ``passed_by_tasks``: options that a task passes itself.
- ``options``: variables, in this order, before those of ``modules``. ``from: <module>.<option>`` copies an option of
  any module. Every other key replaces the module's. A variable of no module is described in full.

Run it without arguments to write the files. ``--check`` only reports the files that differ, for tools/lint.
"""

from __future__ import annotations

import pathlib
import sys
import typing as t

import yaml
from module_docs import ROOT, Yaml, module_options
from options_text import cell, default_cell, dumped, flat, is_template, markdown, referring, replaced

GENERATED = "Written by tools/options.py from meta/options.yml and the modules' documentation."
README_MARKS = (f"<!-- {GENERATED} -->", "<!-- End of the options. -->")
VARS_MARKS = (f"# {GENERATED}", "# End of the options.")
# What an argument specification knows of an option. Everything else in a module's documentation stays there.
KEYS = ("description", "version_added", "type", "elements", "required", "no_log", "choices", "default")


class WrongOptions(Exception):
    """The source of the options is inconsistent."""


class Variable(t.NamedTuple):
    """One variable of a role.

    Args:
        name: its name.
        option: its entry in the argument specification, with ``default`` also where that is a template.
        origin: module and option it comes from; None for a variable of the role alone.
    """

    name: str
    option: dict[str, Yaml]
    origin: tuple[str, str] | None


class Role:
    """The options of one role, and the files written from them.

    Args:
        folder: the role's folder.
        root: the folder of the collection.

    Raises:
        WrongOptions: a variable is not described, or only in part.
    """

    def __init__(self, folder: pathlib.Path, root: pathlib.Path) -> None:
        self.name = folder.name
        self._folder = folder
        self._root = root
        self._source: dict[str, Yaml] = yaml.safe_load((folder / "meta/options.yml").read_text())
        self._modules: dict[str, dict[str, Yaml]] = {}
        self.variables = self._read()

    def _documented(self, module: str) -> dict[str, Yaml]:
        if module not in self._modules:
            self._modules[module] = module_options(module, self._root)
        return self._modules[module]

    def _read(self) -> list[Variable]:
        own: dict[str, Yaml] = self._source.get("options") or {}
        origins = self._origins(own)
        names = [*own, *(name for name in origins if name not in own)]
        variable_of = {origin: name for name, origin in origins.items()}
        found = [self._variable(name, own.get(name) or {}, origins.get(name), variable_of) for name in names]
        for name, option, _unused in found:
            if not name.startswith(f"{self.name}_"):
                raise WrongOptions(f"{self.name}: {name} does not begin with the role's name")
            if "description" not in option or "type" not in option:
                raise WrongOptions(f"{self.name}: {name} needs a description and a type in meta/options.yml")
            if ("default" in option) == bool(option.get("required")):
                raise WrongOptions(f"{self.name}: {name} needs a default, or required: true, in meta/options.yml")
        return found

    def _origins(self, own: dict[str, Yaml]) -> dict[str, tuple[str, str]]:
        """Variable -> module and option."""
        origins: dict[str, tuple[str, str]] = {}
        renamed = {entry["from"] for entry in own.values() if "from" in entry}
        for module in self._source.get("modules") or ():
            for option in self._documented(module):
                if option not in (self._source.get("without") or ()) and f"{module}.{option}" not in renamed:
                    origins.setdefault(f"{self.name}_{option}", (module, option))
        for name, entry in own.items():
            if "from" in entry:
                module, unused, option = entry["from"].partition(".")
                if option not in self._documented(module):
                    raise WrongOptions(f"{self.name}: {name} is taken from {module}.{option}, which does not exist")
                origins[name] = (module, option)
        return origins

    def _variable(
        self,
        name: str,
        own: dict[str, Yaml],
        origin: tuple[str, str] | None,
        variable_of: t.Mapping[tuple[str, str], str],
    ) -> Variable:
        entry = {key: value for key, value in own.items() if key != "from"}
        if origin:
            module, option = origin
            documented = self._documented(module)
            named = {other: variable_of.get((module, other), "") for other in documented}
            entry = merged(role_option(documented[option], named), entry)
            if self._source.get("passed") and is_unset(entry, documented[option]) and "description" not in own:
                empty = "Empty leaves" if entry["default"] != 0 else "V(0) leaves"
                texts = paragraphs(entry)
                entry["description"] = [f"{texts[0]} {empty} it to the module.", *texts[1:]]
        return Variable(name, entry, origin)

    def texts(self) -> dict[pathlib.Path, str]:
        """Path -> text of each file that is written.

        Raises:
            ValueError: a file that is written in part lacks its markers.
        """
        readme = self._folder / "README.md"
        files = {
            self._folder / "defaults/main.yml": self._defaults(),
            self._folder / "meta/argument_specs.yml": self._specification(),
            readme: replaced(readme, *README_MARKS, f"\n{self._table()}\n\n"),
        }
        if self._source.get("passed"):
            path = self._folder / "vars/main.yml"
            files[path] = replaced(path, *VARS_MARKS, self._passed())
        return files

    def _defaults(self) -> str:
        lines = [flat(each.name, each.option["default"]) for each in self.variables if "default" in each.option]
        return f"---\n# {GENERATED}\n" + "".join(lines)

    def _specification(self) -> str:
        main = {
            "short_description": self._source["short_description"],
            "description": self._source["description"],
            "options": {each.name: specified(each.option) for each in self.variables},
        }
        return f"---\n# {GENERATED}\n" + dumped({"argument_specs": {"main": main}})

    def _table(self) -> str:
        lines = ["| variable | default | meaning |", "|---|---|---|"]
        lines += [
            f"| `{each.name}` | {shown_default(each.option)} | {meaning(each.option)} |" for each in self.variables
        ]
        return "\n".join(lines)

    def _passed(self) -> str:
        left = [(each, *each.origin) for each in self.variables if each.origin]
        by_tasks = self._source.get("passed_by_tasks") or ()
        parts: dict[str, dict[str, str]] = {}
        for name, modules in self._source["passed"].items():
            parts[name] = {}
            for entry in list(left):
                each, module, option = entry
                if module in modules and all(option in self._documented(other) for other in modules):
                    left.remove(entry)
                    if option not in by_tasks:
                        unset = is_unset(each.option, self._documented(module)[option])
                        omitted = " | default(omit, true)" if unset else ""
                        parts[name][option] = f"{{{{ {each.name}{omitted} }}}}"
        return dumped(parts)


def is_unset(option: dict[str, Yaml], documented: dict[str, Yaml]) -> bool:
    """Whether the role's default stands, or as a template can stand, for no value: the module has no default."""
    default = option.get("default")
    empty = default in ("", 0, [], {}) or (isinstance(default, str) and "{{" in default)
    return "default" not in documented and not documented.get("required") and empty


def merged(below: dict[str, Yaml], above: dict[str, Yaml]) -> dict[str, Yaml]:
    """``below`` with the values of ``above``, suboptions one by one."""
    result = {**below, **{key: value for key, value in above.items() if key != "options"}}
    if "options" in above:
        suboptions: dict[str, Yaml] = dict(below.get("options") or {})
        for name, entry in above["options"].items():
            suboptions[name] = merged(suboptions.get(name) or {}, entry)
        result["options"] = suboptions
    return result


def role_option(documented: dict[str, Yaml], named: t.Mapping[str, str]) -> dict[str, Yaml]:
    """An option of a module as an option of a role.

    Args:
        documented: the module's documentation of it.
        named: option of the module -> variable of the role, "" for none. References to options name these.
    """
    option = {key: documented[key] for key in KEYS if key in documented}
    texts = [referring(text, named) for text in paragraphs(option)]
    option["description"] = texts if len(texts) > 1 else texts[0]
    if isinstance(option.get("default"), float) and option["default"].is_integer():
        option["default"] = int(option["default"])
    if "suboptions" in documented:
        suboptions: dict[str, Yaml] = documented["suboptions"]
        option["options"] = {name: role_option(inner, named) for name, inner in suboptions.items()}
    return option


def paragraphs(option: dict[str, Yaml]) -> list[str]:
    """The description as a list."""
    text: Yaml = option["description"]
    return list(text) if isinstance(text, list) else [text]


def specified(option: dict[str, Yaml]) -> dict[str, Yaml]:
    """An option for the argument specification, which leaves out a default that would have to be templated."""
    entry = {key: option[key] for key in KEYS if key in option and not (key == "required" and not option[key])}
    if is_template(entry.get("default")):
        del entry["default"]
    if "options" in option:
        entry["options"] = {name: specified(inner) for name, inner in option["options"].items()}
    return entry


def shown_default(option: dict[str, Yaml]) -> str:
    """The default as a cell of a Markdown table."""
    return "required" if option.get("required") else default_cell(option["default"])


def meaning(option: dict[str, Yaml]) -> str:
    """The first paragraph of the description, choices and keys, as a cell of a Markdown table."""
    text = markdown(paragraphs(option)[0])
    choices = [f"`{choice}`" for choice in option.get("choices") or () if choice != ""]
    if any(choice not in text for choice in choices):
        text += f" One of {', '.join(choices)}."
    if "options" in option:
        text += f" Keys: {', '.join(f'`{name}`' for name in option['options'])}."
    return cell(text)


def main(arguments: t.Sequence[str]) -> int:
    """Write the files, or with ``--check`` report those that differ."""
    check = "--check" in arguments
    differing = []
    try:
        for folder in sorted(path.parent for path in (ROOT / "roles").glob("*/meta")):
            if not (folder / "meta/options.yml").exists():
                raise WrongOptions(f"{folder.name}: meta/options.yml is missing. Describe the role's variables there.")
            for path, text in Role(folder, ROOT).texts().items():
                if not path.exists() or path.read_text() != text:
                    differing.append(str(path.relative_to(ROOT)))
                    if not check:
                        path.write_text(text)
    except (WrongOptions, ValueError) as error:
        print(error)
        return 2
    if not check:
        print("\n".join(f"written: {name}" for name in differing) or "nothing to write")
        return 0
    print("\n".join(f"{name}: differs from its source. Run tools/options.py." for name in differing) or "options agree")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
