"""What is written outside of every mount, and containers made from another compose file."""

from __future__ import annotations

import time
import typing as t

from mounts_lab import Lab

WORKING_DIR = "com.docker.compose.project.working_dir"
CONFIG_FILES = "com.docker.compose.project.config_files"


def write(lab: Lab, name: str, script: str) -> None:
    lab.cli("exec", name, "/bin/sh", "-ec", script)


def lost(lab: Lab, name: str, **options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {row["path"]: row for row in lab.proof(name, ephemeral=True, **options)["ephemeral_writes"]}


def test_files_outside_mounts_are_found_without_mounted_or_temporary_ones(lab: Lab) -> None:
    name = lab.run("-v", f"{lab.directory('data')}:/data")
    assert lost(lab, name) == {}
    write(
        lab,
        name,
        "mkdir -p /app/journal/2026 /tmp/x /run /app/__pycache__;"
        "dd if=/dev/zero of=/app/journal/2026/a bs=1024 count=3;"
        "dd if=/dev/zero of=/app/journal/b bs=1024 count=1;"
        "touch /data/kept /tmp/x/t /run/app.pid /app/__pycache__/m.pyc",
    )
    found = lost(lab, name)
    assert list(found) == ["/app/journal"]
    row = found["/app/journal"]
    assert (row["files"], row["bytes"], row["complete"]) == (2, 4096, True)
    assert abs(time.time() - time.mktime(time.strptime(row["newest"], "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 60
    assert "/app/journal" in row["message"]
    assert "2 files, 4.0 KiB" in row["message"]
    assert lost(lab, name, ephemeral_ignore=["/app/jour*"])["/tmp/x"]["files"] == 1
    assert lab.proof(name, ephemeral=True)["ok"]  # a finding of its own, not about a mount


def test_stopped_container_is_scanned_too(lab: Lab) -> None:
    name = lab.run()
    write(lab, name, "mkdir -p /app/journal; touch /app/journal/a")
    lab.cli("stop", "-t", "0", name)
    assert lost(lab, name)["/app/journal"]["files"] == 1


def test_declared_data_directory_without_a_mount_is_found_while_empty(lab: Lab) -> None:
    name = lab.run(
        *("-v", f"{lab.directory('data')}:/data"),
        *("-e", "JOURNAL_DIR=/app/journal", "-e", "UPLOAD_DIR=/data/uploads", "-e", "CACHE_DIR=/tmp/cache"),
        *("-e", "TEMPLATE_DIR=/shipped", "-e", "OTHER=/app/other", "-e", "LOG_DIR=logs"),
    )
    found = lost(lab, name)
    assert list(found) == ["/app/journal"]
    assert (found["/app/journal"]["variable"], found["/app/journal"]["files"]) == ("JOURNAL_DIR", 0)
    write(lab, name, "mkdir -p /app/journal/2026; touch /app/journal/2026/a /shipped/new")
    found = lost(lab, name)
    assert found["/app/journal"]["files"] == 1
    assert found["/shipped"]["variable"] == "TEMPLATE_DIR"  # written to, so it is data


def test_links_in_the_container_are_not_followed(lab: Lab) -> None:
    name = lab.run()
    write(lab, name, "mkdir -p /app; ln -s / /app/root; ln -s /proc/1/root/etc /app/etc; mkfifo /app/fifo")
    assert lost(lab, name)["/app"]["files"] == 3


def test_hundred_thousand_files_are_counted_in_bounded_time(lab: Lab) -> None:
    name = lab.run()
    write(
        lab,
        name,
        "mkdir -p /app/many; cd /app/many; i=0;"
        "while [ $i -lt 100 ]; do touch $(seq $((i*1000)) $((i*1000+999))); i=$((i+1)); done",
    )
    began = time.monotonic()
    assert lost(lab, name)["/app/many"]["files"] == 100_000
    assert time.monotonic() - began < 10
    row = lost(lab, name, seconds=0.001)["/app/many"]
    assert not row["complete"]
    assert row["files"] < 100_000
    assert "at least" in row["message"]


def test_labels_of_another_compose_file_directory_and_standard_input(lab: Lab) -> None:
    right = str(lab.directory("app"))
    lookalike = str(lab.directory("old/app"))
    data = lab.directory("data")
    compose = f"{right}/compose.yml"

    def made(folder: str, files: str) -> dict[str, t.Any]:
        name = lab.run(
            "-v", f"{data}:/data", "--label", f"{WORKING_DIR}={folder}", "--label", f"{CONFIG_FILES}={files}"
        )
        return lab.proof(name, working_dir=right, config_files=[compose])

    assert made(right, compose)["ok"]
    assert made(right, "compose.yml")["ok"]  # as podman-compose writes it
    other = made(right, f"{right}/other.yml")
    assert not other["ok"]
    assert [row["label"] for row in other["label_mismatch"]] == [CONFIG_FILES]
    stdin = made(right, "-")
    assert "standard input" in stdin["label_mismatch"][0]["message"]
    moved = made(lookalike, f"{lookalike}/compose.yml")
    assert [row["label"] for row in moved["label_mismatch"]] == [WORKING_DIR, CONFIG_FILES]
    assert "look-alike" in moved["label_mismatch"][0]["message"]
    plain = lab.run("-v", f"{data}:/data")
    assert not lab.proof(plain, working_dir=right)["ok"]
