# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PID 1 of the guest of boot_lab.py: apply the Ignition file of podman machine once, then become systemd.

Fedora CoreOS has Ignition for this. Debian's guest needs the part of it that podman uses: users, directories, files,
links and units of the configuration that QEMU shows as firmware item opt/com.coreos/config.
"""

import base64
import json
import os
import pwd
import subprocess
import sys
import traceback
import urllib.parse

CONFIG = "/sys/firmware/qemu_fw_cfg/by_name/opt/com.coreos/config/raw"
DONE = "/etc/.ignition-applied"
MOUNTS = (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run"))


def run(*argv):
    return subprocess.call(argv, stdout=2, stderr=2)


def content(source):
    """The bytes of a data: URL."""
    head, _unused, body = (source or "data:,")[len("data:") :].partition(",")
    raw = urllib.parse.unquote_to_bytes(body)
    return base64.b64decode(raw) if head.endswith(";base64") else raw


def owner(entry, path):
    """Set the owner of a path to the user and group that the configuration names."""
    ids = []
    for key in ("user", "group"):
        who = entry.get(key) or {}
        if who.get("id") is not None:
            ids.append(who["id"])
        elif who.get("name"):
            entry_of = pwd.getpwnam(who["name"])
            ids.append(entry_of.pw_uid if key == "user" else entry_of.pw_gid)
        else:
            ids.append(0)
    os.chown(path, ids[0], ids[1], follow_symlinks=False)


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def users(config):
    for user in config.get("passwd", {}).get("users", []):
        name = user["name"]
        if user.get("shouldExist") is False:
            continue
        home = "/root" if name == "root" else "/home/" + name
        if name != "root":
            groups = "sudo,adm,systemd-journal"
            run("useradd", "-m", "-s", "/bin/bash", "-u", str(user.get("uid") or 1000), "-G", groups, name)
            write("/etc/sudoers.d/90-" + name, f"{name} ALL=(ALL) NOPASSWD:ALL\n".encode())
            write("/var/lib/systemd/linger/" + name, b"")
        write(home + "/.ssh/authorized_keys", "\n".join([*user.get("sshAuthorizedKeys", []), ""]).encode())
        run("chown", "-R", name + ":", home + "/.ssh")
        run("chmod", "-R", "go=", home + "/.ssh")


def storage(config):
    stored = config.get("storage", {})
    for entry in stored.get("directories", []):
        os.makedirs(entry["path"], exist_ok=True)
        os.chmod(entry["path"], entry.get("mode", 0o755))
        owner(entry, entry["path"])
    for entry in stored.get("files", []):
        parts = [entry.get("contents") or {}, *(entry.get("append") or [])]
        write(entry["path"], b"".join(content(part.get("source")) for part in parts))
        os.chmod(entry["path"], entry.get("mode", 0o644))
        owner(entry, entry["path"])
        if entry["path"] in ("/etc/subuid", "/etc/subgid"):  # Debian's newuidmap refuses a last line without its end
            with open(entry["path"], "ab") as file:
                file.write(b"\n")
    for entry in stored.get("links", []):
        os.makedirs(os.path.dirname(entry["path"]), exist_ok=True)
        if os.path.lexists(entry["path"]):
            os.remove(entry["path"])
        os.symlink(entry["target"], entry["path"])
        owner(entry, entry["path"])


def units(config):
    listed = config.get("systemd", {}).get("units", [])
    for unit in listed:
        if unit.get("contents"):
            write("/etc/systemd/system/" + unit["name"], unit["contents"].encode())
    for unit in listed:
        if unit.get("enabled"):
            run("systemctl", "--root=/", "enable", unit["name"])


def main():
    for kind, path in MOUNTS:
        if not os.path.ismount(path):
            run("mount", "-t", kind, kind, path)
    run("mount", "-o", "remount,rw", "/")
    if not os.path.exists(DONE):
        run("modprobe", "qemu_fw_cfg")
        with open(CONFIG) as file:
            config = json.load(file)
        users(config)
        storage(config)
        units(config)
        write(DONE, b"1\n")
        os.sync()
    run("resize2fs", "/dev/vda")


try:
    main()
except Exception:  # PID 1 must not end: with systemd there is still a shell on the console
    traceback.print_exc(file=sys.stderr)
os.execv("/sbin/init", ["/sbin/init"])
