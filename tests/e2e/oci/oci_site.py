"""A user's folder with an inventory, and the playbooks, run from it as a user does."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import time
import typing as t

import yaml
from oci_machines import Machines
from oci_server import Server
from oci_world import COMPARTMENT
from webhook_receiver import Receiver

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Site:
    """A user's folder: a copy of the inventory with an account, and the cloud that it reaches.

    Only the waiting times are changed, to seconds, which the options allow with a private endpoint. The stack's secrets
    are encrypted by ansible-vault, as a user's are.
    """

    def __init__(
        self, folder: pathlib.Path, server: Server, machines: Machines, discord: Receiver, config_file: pathlib.Path
    ) -> None:
        self.folder, self.server, self.machines, self.discord = folder, server, machines, discord
        self.key = folder / "keys" / "coinpilot"
        self.inventories = folder / "inventories"
        shutil.copytree(ROOT / "inventories", self.inventories, ignore=shutil.ignore_patterns("*.captured.yml"))
        # One folder for the host: the inventory's own file, unchanged, and the values that this test adds.
        values = self.inventories / "host_vars" / "oci-vm"
        values.mkdir()
        (self.inventories / "host_vars" / "oci-vm.yml").rename(values / "10-inventory.yml")
        added = {
            "onebox_stacks_dir": str(ROOT / "stacks"),
            "oci_instance_compartment_id": COMPARTMENT,
            "oci_instance_config_file": str(config_file),
            "oci_instance_endpoint": server.endpoint,
            "oci_instance_ssh_key_file": str(self.key),
            "oci_instance_state_dir": str(folder / "state"),
            "oci_instance_discord_webhook": discord.url,
            "oci_instance_ssh_timeout": 600,
            "oci_instance_capacity_interval": 1,
            "oci_instance_throttle_base": 2,
            "oci_instance_throttle_max": 4,
            "oci_instance_jitter_max": 0.5,
            "oci_instance_interval_floor": 1,
        }
        (values / "90-test.yml").write_text(yaml.safe_dump(added))
        self.printed = ""
        self._encrypt()
        self.known_hosts = folder / "state" / "known_hosts"
        self.state_file = folder / "state" / "coinpilot-ins.json"
        self.captured = self.inventories / "oci-vm.captured.yml"

    def _encrypt(self) -> None:
        place = self.inventories / "group_vars" / "coinpilot.yml"
        names = yaml.safe_load(place.with_name("coinpilot.yml.example").read_text())
        place.write_text(yaml.safe_dump({name: secrets.token_hex(24) for name in names}))
        (self.folder / "vault-password").write_text(secrets.token_hex(16))
        program = str(pathlib.Path(sys.executable).parent / "ansible-vault")
        argv = [program, "encrypt", "--vault-password-file", str(self.folder / "vault-password"), str(place)]
        subprocess.run(argv, check=True, capture_output=True, cwd=ROOT)

    def play(self, playbook: str, *words: str, timeout: float = 1800) -> tuple[int, str]:
        """Run a playbook for oci-vm as a user does; returns exit code and output, which is also streamed."""
        environ = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "HOME": str(self.folder)}
        environ["ANSIBLE_HOME"] = str(self.folder / ".ansible")
        environ["ANSIBLE_VAULT_PASSWORD_FILE"] = str(self.folder / "vault-password")
        program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        command = [program, playbook, "-i", str(self.inventories), "-l", "oci-vm", *words]
        print(f"\n$ ansible-playbook {' '.join(command[1:])}", flush=True)
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        said, deadline = [], time.monotonic() + timeout
        for line in process.stdout:
            said.append(line)
            print(line, end="", flush=True)
            if time.monotonic() > deadline:
                process.kill()
        self.printed += "".join(said)
        return process.wait(), "".join(said)

    def state(self) -> dict[str, t.Any]:
        return json.loads(self.state_file.read_text())

    def ssh(self, command: str) -> str:
        """Log in as a user does, with the values that were written into the inventory."""
        host = yaml.safe_load(self.captured.read_text())["all"]["hosts"]["oci-vm"]
        argv = ["ssh", "-o", "BatchMode=yes", *host["ansible_ssh_common_args"].split(), "-i", str(self.key)]
        argv += ["-l", "ubuntu", host["ansible_host"], command]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def forget_host_key(self, identity: str) -> None:
        """Run the command of the error message."""
        argv = ["ssh-keygen", "-R", identity, "-f", str(self.known_hosts)]
        subprocess.run(argv, check=True, capture_output=True)


def changed_tasks(out: str) -> list[str]:
    """Names of the tasks that reported a change, one for each item of a loop; the run's recap must agree."""
    found, task = [], ""
    for line in out.splitlines():
        if line.startswith("TASK ["):
            task = line[len("TASK [") : line.rindex("]")]
        elif line.startswith("changed: [oci-vm"):
            found.append(task)
    (recap,) = [line for line in out.splitlines() if line.startswith("oci-vm ") and "changed=" in line]
    assert bool(found) == ("changed=0 " not in recap), recap
    return found
