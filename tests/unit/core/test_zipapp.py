"""Programs of one file, built from the collection and from small packages made here, and run by a real Python."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import typing as t
import zipfile

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import install as backup
from ansible_collections.onebox.stack.plugins.module_utils.core import zipapp
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.mounts import bundle as mounts

MAIN = "def main():\n    return 0\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package ``sample`` that can be imported: ``package({"cli.py": "…"})``."""

    def write(sources: t.Mapping[str, str]) -> None:
        for name, text in {"__init__.py": "", **sources}.items():
            path = tmp_path / "library" / "sample" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    monkeypatch.syspath_prepend(str(tmp_path / "library"))
    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "sample"]:
        del sys.modules[name]


def run(path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([path, *words], env={}, cwd="/", capture_output=True, text=True, check=False)


def install(tmp_path, main: str = "sample.cli") -> str:
    path = str(tmp_path / "program")
    assert zipapp.install(path, main, sys.executable, check=False)
    return path


def changed(program: bytes, change: t.Callable[[str, bytes], bytes], stamp: bytes | None = None) -> bytes:
    """A program with other files in its zip; ``stamp`` replaces its own."""
    first, _end, rest = program.partition(b"\n")
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(rest)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        new.comment = old.comment if stamp is None else stamp
    return first + b"\n" + out.getvalue()


def unchanged(name: str, data: bytes) -> bytes:
    return data


@pytest.mark.parametrize(
    ("program", "words", "code", "says"),
    [
        pytest.param(
            backup,
            ["--config", "/nowhere.json", "status"],
            2,
            "cannot read the backup configuration /nowhere.json",
            id="onebox-backup",
        ),
        pytest.param(mounts, ["--socket", "/nowhere.sock"], 2, "not checked: ", id="onebox-verify"),
    ],
)
def test_installed_program_runs_without_the_collection(tmp_path, program, words, code, says):
    path = str(tmp_path / "bin" / "program")
    assert program.install(path, sys.executable, check=True) is True
    assert not os.path.exists(tmp_path / "bin")
    assert program.install(path, sys.executable, check=False) is True
    assert program.install(path, sys.executable, check=False) is False
    assert os.stat(path).st_mode & 0o777 == 0o755
    done = run(path, *words)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def former_mounts_stamp(program: bytes) -> bytes:
    return b""


def former_backup_stamp(program: bytes) -> bytes:
    first, _end, rest = program.partition(b"\n")
    stamp = hashlib.sha256(first + b"\n" + importlib.util.MAGIC_NUMBER)
    with zipfile.ZipFile(io.BytesIO(rest)) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".py")):
            stamp.update(f"{name}\0".encode() + archive.read(name) + b"\0")
    return stamp.hexdigest().encode()


@pytest.mark.parametrize(
    ("program", "stamp"),
    [
        pytest.param(backup, former_backup_stamp, id="onebox-backup"),
        pytest.param(mounts, former_mounts_stamp, id="onebox-verify"),
    ],
)
def test_program_of_the_first_release_is_replaced_once(tmp_path, program, stamp):
    path = tmp_path / "program"
    program.install(str(path), sys.executable, check=False)
    path.write_bytes(changed(path.read_bytes(), unchanged, stamp(path.read_bytes())))
    assert program.install(str(path), sys.executable, check=True) is True
    assert program.install(str(path), sys.executable, check=False) is True
    assert program.install(str(path), sys.executable, check=False) is False


def test_other_mode_is_a_change_that_keeps_the_bytes(tmp_path):
    path = tmp_path / "program"
    mounts.install(str(path), sys.executable, check=False)
    data = path.read_bytes()
    path.chmod(0o700)
    assert mounts.install(str(path), sys.executable, check=False) is True
    assert (path.stat().st_mode & 0o777, path.read_bytes()) == (0o755, data)


def test_build_of_other_bytes_with_the_same_stamp_is_kept(tmp_path):
    path = tmp_path / "program"
    mounts.install(str(path), sys.executable, check=False)
    other = changed(path.read_bytes(), unchanged)
    assert other != path.read_bytes()
    path.write_bytes(other)
    assert mounts.install(str(path), sys.executable, check=False) is False
    assert path.read_bytes() == other


def test_removing_the_mount_check_reports_what_was_there(tmp_path):
    path = str(tmp_path / "program")
    assert mounts.remove(path, check=False) is False
    mounts.install(path, sys.executable, check=False)
    assert mounts.remove(path, check=True) is True
    assert os.path.exists(path)
    assert mounts.remove(path, check=False) is True
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("program", "error"),
    [pytest.param(backup, StoreError, id="onebox-backup"), pytest.param(mounts, OneboxError, id="onebox-verify")],
)
def test_path_that_cannot_be_written_is_an_error_that_names_it(tmp_path, program, error):
    (tmp_path / "file").touch()
    with pytest.raises(error, match=f"{tmp_path}/file"):
        program.install(str(tmp_path / "file" / "program"), sys.executable, check=False)


def test_everything_a_program_imports_is_in_it(tmp_path, package):
    package(
        {
            "__init__.py": "from sample.early import early\n",
            "early.py": "early = 'early'\n",
            "plain.py": "plain = 'plain'\n",
            "parts/__init__.py": "from sample.parts import inside as _inside\ntext = _inside.inside\n",
            "parts/inside.py": "inside = 'inside'\n",
            "late.py": "late = 'late'\n",
            "unused.py": "raise SystemExit('the program needs no such module')\n",
            "cli.py": (
                "import sample.plain\nfrom sample.parts import text\nfrom sample import early\n"
                "def main():\n    from sample import late\n"
                "    print(early, sample.plain.plain, text, late.late)\n"
            ),
        }
    )
    path = install(tmp_path)
    assert run(path).stdout == "early plain inside late\n"
    with zipfile.ZipFile(path) as archive:
        assert "sample/unused.py" not in archive.namelist()


def test_relative_imports_are_followed(tmp_path, package):
    package(
        {
            "other.py": "other = 'other'\n",
            "deep/__init__.py": "from .near import near\n",
            "deep/near.py": "near = 'near'\n",
            "deep/cli.py": (
                "from . import near\nfrom .near import near as again\n"
                "from .. import other\nfrom ..other import other as o\n"
                "def main():\n    print(near, again, other.other, o)\n"
            ),
        }
    )
    assert run(install(tmp_path, "sample.deep.cli")).stdout == "near near other other\n"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param("from ... import far\n", r"sample\.cli: line 1 imports from \.\.\., above", id="above_the_top"),
        pytest.param("from .gone import x\n", r"sample\.gone: its source cannot be found", id="relative"),
        pytest.param("import sample.gone\n", r"sample\.gone: its source cannot be found", id="absolute"),
        pytest.param("def f():\n    from sample.gone.x import y\n", r"sample\.gone\.x: its source cannot", id="late"),
        pytest.param(
            "import pytest\n",
            r"sample\.cli: imports pytest, which is not in Python's standard library",
            id="third_party",
            marks=pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 cannot list its standard library"),
        ),
    ],
)
def test_import_that_cannot_be_in_the_program_is_refused(package, source, says):
    package({"cli.py": source + MAIN})
    with pytest.raises(zipapp.ZipappError, match=says):
        zipapp.build("sample.cli", sys.executable)


@pytest.mark.parametrize("interpreter", ["python3", "/opt/my python/bin/python3", "/bin/python3\n#", ""])
def test_interpreter_that_no_first_line_can_name_is_refused(package, interpreter):
    package({"cli.py": MAIN})
    with pytest.raises(zipapp.ZipappError, match="interpreter: "):
        zipapp.build("sample.cli", interpreter)


def test_first_line_keeps_the_user_s_environment_out(tmp_path, package):
    package({"cli.py": "import sys\ndef main():\n    print(sys.flags.isolated, sys.flags.no_site)\n"})
    path = install(tmp_path)
    assert run(path).stdout == "1 1\n"
    with open(path, "rb") as stream:
        assert stream.readline() == f"#!{sys.executable} -IS\n".encode()


def test_program_runs_from_its_byte_code(tmp_path, package):
    package({"cli.py": "def main():\n    print('from byte code')\n"})
    path = install(tmp_path)
    with open(path, "rb") as stream:
        program = stream.read()
    broken = changed(program, lambda name, data: b"raise SystemExit('compiled')" if name == "sample/cli.py" else data)
    with open(path, "wb") as stream:
        stream.write(broken)
    assert run(path).stdout == "from byte code\n"


def test_builds_of_other_processes_are_the_same_program():
    """Before Python 3.11 the order of sets and the modules in memory change the byte code, not the stamp."""
    script = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import conftest\n"
        "from ansible_collections.onebox.stack.plugins.module_utils.core import zipapp\n"
        f"sys.stdout.buffer.write(zipapp.build({backup.cli.__name__!r}, sys.executable))\n"
    )
    tests = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

    def build(seed: str) -> bytes:
        environment = dict(os.environ, PYTHONHASHSEED=seed)
        return subprocess.run(
            [sys.executable, "-c", script, tests], env=environment, stdout=subprocess.PIPE, check=True
        ).stdout

    one, other = build("1"), build("2")
    assert zipapp.same(one, other)
    assert zipapp.same(one, zipapp.build(backup.cli.__name__, sys.executable))
    if sys.version_info >= (3, 11):
        assert one == other


def test_other_source_python_or_interpreter_is_another_program(package, monkeypatch):
    package({"cli.py": MAIN})
    program = zipapp.build("sample.cli", "/usr/bin/python3")
    assert zipapp.same(program, zipapp.build("sample.cli", "/usr/bin/python3"))
    assert not zipapp.same(program, zipapp.build("sample.cli", "/usr/local/bin/python3"))
    assert not zipapp.same(program, program.replace(b"/usr/bin/python3", b"/opt/bin/python3", 1))
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "MAGIC_NUMBER", b"\x01\x02\r\n")
        assert not zipapp.same(program, zipapp.build("sample.cli", "/usr/bin/python3"))
    package({"cli.py": MAIN + "# more\n"})
    assert not zipapp.same(program, zipapp.build("sample.cli", "/usr/bin/python3"))


def test_anything_but_an_intact_program_is_replaced(package):
    package({"cli.py": MAIN})
    program = zipapp.build("sample.cli", "/usr/bin/python3")
    first = program[: program.index(b"\n") + 1]
    damaged = bytearray(program)
    damaged[program.index(b"sample/cli.py") + 20] ^= 0xFF
    for other in (b"", first, first + b"PK", program[: len(program) // 2], bytes(damaged)):
        assert not zipapp.same(other, program)
    assert not zipapp.same(first, first + b"\n")
