"""The whole way of one run, interrupted and doubled: site.yml on this machine with real Podman and podman-compose."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROJECT = "obx-site-faults"


class Box:
    """An inventory host of its own: this machine, a stack of two tiny services, directories below ``home``."""

    def __init__(self, home: pathlib.Path, environ: dict, image: str) -> None:
        self.data = home / "data with space ü"
        self.state = home / "state"
        self.environ = {**environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_INJECT_FACT_VARS": "false"}
        self.environ["PATH"] = f"{ROOT}/.venv/bin:{environ['PATH']}"
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "container_engine": "podman",
            "compose_stack_name": PROJECT,
            "compose_stack_source": str(ROOT / "tests/integration/site/stack"),
            "compose_stack_project_dir": str(home / "deploy"),
            "compose_stack_state_dir": str(self.state),
            "onebox_state_dir": str(self.state),
            "compose_stack_env": {"BOX_DATA": str(self.data), "BOX_IMAGE": image},
            "compose_stack_wait_timeout": 60,
            "data_dirs_base": str(self.data),
            "data_dirs_directories": [{"path": ".", "class": "data"}],
        }
        self.inventory = home / "hosts.json"
        self.inventory.write_text(json.dumps({"all": {"hosts": {"box": variables}}}))

    def start(self, *words: str) -> subprocess.Popen:
        argv = ["ansible-playbook", "site.yml", "-i", "inventories/hosts.yml", "-i", str(self.inventory), "-l", "box"]
        return subprocess.Popen(
            [*argv, *words], cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *words: str) -> str:
        process = self.start(*words)
        said, _nothing = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said

    def run_until(self, task: int) -> bool:
        """Kill the run with SIGKILL when its ``task``-th task is announced; False when it has fewer."""
        process = self.start()
        seen = 0
        for line in process.stdout:
            seen += line.startswith("TASK [")
            if seen == task:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        return process.wait(timeout=300) == -signal.SIGKILL

    def containers(self) -> dict:
        words = ["podman", "ps", "--all", "--format", "json", "--filter", f"label=com.docker.compose.project={PROJECT}"]
        rows = json.loads(subprocess.run(words, env=self.environ, capture_output=True, check=True).stdout)
        return {row["Names"][0]: row["State"] for row in rows}


@pytest.fixture
def box(tmp_path, podman_compose, tiny_image):
    box = Box(tmp_path, podman_compose.environ, tiny_image)
    yield box
    names = list(box.containers())
    if names:
        subprocess.run(["podman", "rm", "-f", "-t", "0", *names], env=box.environ, capture_output=True, check=True)
    subprocess.run(
        ["podman", "network", "rm", "-f", f"{PROJECT}_default"], env=box.environ, capture_output=True, check=False
    )


def recap(said: str) -> dict:
    """The counts of the last line of an Ansible run."""
    counts = re.search(r"^box\s+: (.*)$", said, re.MULTILINE)
    assert counts, said
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts.group(1))}


def test_killed_at_any_task_the_next_run_is_clean(box):
    """kill -9 of ansible-playbook at each of its tasks, one after another, without a clean-up between."""
    box.data.mkdir(parents=True)
    (box.data / "precious").write_text("kept")
    task = 1
    while box.run_until(task):
        task += 1
    assert task > 8, "the run has fewer tasks than it should: were they counted?"
    assert recap(box.run())["failed"] == 0
    assert recap(box.run())["changed"] == 0
    assert set(box.containers().values()) == {"running"}
    assert len(box.containers()) == 2
    assert (box.data / "precious").read_text() == "kept"


def test_two_runs_at_once_both_succeed(box):
    first, second = box.start(), box.start()
    said = [process.communicate(timeout=300)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], "\n\n".join(said)
    assert sorted(box.containers().values()) == ["running", "running"]
    assert recap(box.run())["changed"] == 0


def test_check_mode_changes_nothing_and_predicts_the_run(box):
    said = box.run("--check", "--diff")
    assert recap(said)["changed"] > 0
    assert not box.data.exists()
    assert not box.containers()
    assert not box.state.exists()
    box.run()
    assert recap(box.run("--check"))["changed"] == 0


def test_broken_mount_is_found_and_named(box):
    box.run()
    moved = box.data.with_name("moved away")
    os.rename(box.data, moved)
    box.data.mkdir()
    argv = ["ansible-playbook", "playbooks/verify.yml", "-i", str(box.inventory), "-l", "box"]
    process = subprocess.run(argv, cwd=ROOT, env=box.environ, capture_output=True, text=True, check=False)
    assert process.returncode != 0
    assert "stale_renamed" in process.stdout, process.stdout
    assert "restart" in process.stdout
