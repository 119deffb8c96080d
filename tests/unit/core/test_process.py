"""The one way processes are run: bounded, without a shell, in the C locale. Real processes throughout."""

import os
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process


def python(code, **options):
    return process.run([sys.executable, "-c", code], timeout=20, **options)


def test_output_exit_code_and_locale():
    result = python("import os, sys; print(os.environ['LC_ALL']); sys.stderr.write('aside')")
    assert (result.rc, result.stdout, result.stderr) == (0, "C\n", "aside")
    assert result.seconds > 0


def test_no_shell_and_odd_words_arrive_whole():
    words = ["a b", "$HOME", "; touch x", "ü\n"]
    result = process.run([sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))", *words], timeout=20)
    assert result.stdout.strip() == ascii(words)


def test_standard_input_is_closed_unless_given():
    assert python("import sys; print(repr(sys.stdin.read()))").stdout == "''\n"
    assert python("import sys; print(sys.stdin.read())", stdin="später".encode()).stdout == "später\n"


def test_descriptor_is_held_for_a_command_that_does_not_get_it(tmp_path):
    with open(tmp_path / "lock", "w") as lock:
        code = (
            "import os, sys; print(sys.argv[1:], repr(sys.stdin.read())); "
            "print(*(os.path.realpath(f'/dev/fd/{number}') for number in range(20)))"
        )
        words = [sys.executable, "-c", code, "a b", "$HOME; exit 1"]
        result = process.run(words, timeout=20, holding=lock.fileno())
        assert result.stdout.startswith("['a b', '$HOME; exit 1'] ''")
        assert lock.name not in result.stdout
        assert result.argv == tuple(words)
        with pytest.raises(process.CommandError, match="exit code 3: no room"):
            python("import sys; sys.stderr.write('no room'); sys.exit(3)", holding=lock.fileno())


def test_failure_says_what_the_command_said():
    with pytest.raises(process.CommandError, match="exit code 3: no room") as caught:
        python("import sys; sys.stderr.write('\\n\\nno room\\n'); sys.exit(3)")
    assert caught.value.result.rc == 3
    assert python("raise SystemExit(3)", check=False).rc == 3


@pytest.mark.parametrize("cwd", [None, "/nowhere/at all"])
def test_missing_program_or_directory_is_named(cwd):
    program = "/nowhere/program" if cwd is None else sys.executable
    with pytest.raises(process.CommandMissing, match="nowhere"):
        process.run([program], timeout=5, cwd=cwd)


def test_timeout_kills_grandchildren_too(tmp_path):
    pidfile = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(pidfile)!r}).write_text(str(child.pid))\n"
        "print('began', flush=True)\n"
        "time.sleep(60)\n"
    )
    began = time.monotonic()
    with pytest.raises(process.CommandTimeout, match="within 2 s") as caught:
        process.run([sys.executable, "-c", code], timeout=2)
    assert time.monotonic() - began < 15
    assert caught.value.result.stdout == "began\n"
    deadline = time.monotonic() + 10
    while _alive(int(pidfile.read_text())):
        assert time.monotonic() < deadline, "the grandchild outlived the timeout"
        time.sleep(0.02)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_bytes_that_are_not_text_are_replaced():
    assert python("import os; os.write(1, b'\\xff\\xfe')").stdout == "\ufffd\ufffd"


def test_environment_is_what_was_given():
    result = python("import os; print(sorted(os.environ))", env={"ONLY": "this", "PATH": os.environ["PATH"]})
    names = set(eval(result.stdout))
    assert {"ONLY", "PATH", "LC_ALL"} <= names
    assert "HOME" not in names
