"""Units with ordinary values, byte for byte as the roles and playbooks render them today."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.core import jobs
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import Quoted

BACKUP_SERVICE = """\
# Written by the role onebox.stack.backups.
[Unit]
Description=Restore and compare off-site the stack blog
After=network-online.target docker.service podman.socket
Wants=network-online.target

[Service]
Type=oneshot
ExecStart="/usr/local/bin/onebox-backup" --config "/etc/onebox/backup/blog.json" --wait 7200 rehearse --offsite
UMask=0077
Nice=10
IOSchedulingClass=idle
LimitCORE=0
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
# The runner reads its secrets from copies of this unit; a drop-in can take them from an encrypted place instead.
LoadCredential=blog.key:/etc/onebox/backup/blog.key
LoadCredential=blog.webhook:/etc/onebox/backup/blog.webhook
# Podman starts containers as children of the runner, and what binds the runner would bind them; \
Docker's daemon does not.
NoNewPrivileges=yes
# What it takes to read any file, and to give a restored copy its owner and mode.
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_CHOWN CAP_FOWNER CAP_FSETID CAP_SETFCAP
ProtectSystem=strict
ReadWritePaths="-/var/lib/onebox-backup/blog"
ReadWritePaths="-/var/backups/onebox/blog"
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""


def test_service_of_a_backup_keeps_its_bytes():
    """As roles/backups/templates/onebox-backup.service.j2 renders it."""
    stack = "blog"
    folder = f"/etc/onebox/backup/{stack}"
    network = "network-online.target"
    service: list[jobs.Setting] = [
        ("Type", "oneshot"),
        (
            "ExecStart",
            [
                Quoted("/usr/local/bin/onebox-backup"),
                "--config",
                Quoted(f"{folder}.json"),
                "--wait",
                "7200",
                "rehearse",
                "--offsite",
            ],
        ),
        ("UMask", "0077"),
        ("Nice", "10"),
        ("IOSchedulingClass", "idle"),
        ("LimitCORE", "0"),
        ("LockPersonality", "yes"),
        ("RestrictRealtime", "yes"),
        ("SystemCallArchitectures", "native"),
        (
            "#",
            "The runner reads its secrets from copies of this unit; a drop-in can take them from an encrypted place "
            "instead.",
        ),
        ("LoadCredential", {"blog.key": f"{folder}.key", "blog.webhook": f"{folder}.webhook"}),
        (
            "#",
            "Podman starts containers as children of the runner, and what binds the runner would bind them; Docker's "
            "daemon does not.",
        ),
        ("NoNewPrivileges", "yes"),
        ("#", "What it takes to read any file, and to give a restored copy its owner and mode."),
        (
            "CapabilityBoundingSet",
            [
                "CAP_DAC_OVERRIDE",
                "CAP_DAC_READ_SEARCH",
                "CAP_CHOWN",
                "CAP_FOWNER",
                "CAP_FSETID",
                "CAP_SETFCAP",
            ],
        ),
        ("ProtectSystem", "strict"),
        ("ReadWritePaths", [Quoted(f"-/var/lib/onebox-backup/{stack}"), Quoted(f"-/var/backups/onebox/{stack}")]),
        ("ProtectHome", "read-only"),
        *((key, "yes") for key in ("PrivateTmp", "PrivateDevices", "ProtectKernelModules", "ProtectKernelTunables")),
        *((key, "yes") for key in ("ProtectKernelLogs", "ProtectControlGroups", "ProtectClock", "ProtectHostname")),
        ("ProtectProc", "invisible"),
        ("RestrictNamespaces", "yes"),
        ("RestrictAddressFamilies", ["AF_UNIX", "AF_INET", "AF_INET6"]),
        ("SystemCallFilter", "@system-service"),
        ("SystemCallErrorNumber", "EPERM"),
    ]
    unit: list[jobs.Setting] = [
        ("Description", f"Restore and compare off-site the stack {stack}"),
        ("After", [network, "docker.service", "podman.socket"]),
        ("Wants", network),
    ]
    text = jobs.unit({"Unit": unit, "Service": service}, "Written by the role onebox.stack.backups.")
    assert text == BACKUP_SERVICE


BACKUP_TIMER = """\
# Written by the role onebox.stack.backups.
[Unit]
Description=Restore and compare off-site the stack blog

[Timer]
OnCalendar=Sun *-*-* 04:30:00
# Boxes that were set up alike shall not all start in the same second; each keeps its own delay.
RandomizedDelaySec=30min
FixedRandomDelay=true
# A day that was missed because the box was off is made up for once it is on.
Persistent=true

[Install]
WantedBy=timers.target
"""


def test_timer_of_a_backup_keeps_its_bytes():
    """As roles/backups/templates/onebox-backup.timer.j2 renders it."""
    timer: list[jobs.Setting] = [
        ("OnCalendar", "Sun *-*-* 04:30:00"),
        ("#", "Boxes that were set up alike shall not all start in the same second; each keeps its own delay."),
        ("RandomizedDelaySec", "30min"),
        ("FixedRandomDelay", "true"),
        ("#", "A day that was missed because the box was off is made up for once it is on."),
        ("Persistent", "true"),
    ]
    text = jobs.unit(
        {
            "Unit": [("Description", "Restore and compare off-site the stack blog")],
            "Timer": timer,
            "Install": [("WantedBy", "timers.target")],
        },
        "Written by the role onebox.stack.backups.",
    )
    assert text == BACKUP_TIMER


LAUNCH_SERVICE = """\
[Unit]
Description=Hunt for the OCI instance onebox, one round
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory=/home/anna/onebox
Environment=LC_ALL=C.UTF-8 ONEBOX_TIMER=1
ExecStart=/home/anna/onebox/.venv/bin/ansible-playbook /home/anna/onebox/playbooks/launch.yml \
-i /home/anna/onebox/inventories/hosts.yml -l oci-vm -e oci_instance_mode=tick -e '{"oci_instance_timer": true}'
"""

LAUNCH_TIMER = """\
[Unit]
Description=Hunt for the OCI instance onebox until it is captured

[Timer]
OnBootSec=120
OnActiveSec=60
OnUnitInactiveSec=60

[Install]
WantedBy=timers.target
"""


def test_units_of_a_launch_keep_their_bytes():
    """As roles/oci_instance/templates/launch.service.j2 and launch.timer.j2 render them."""
    home = "/home/anna/onebox"
    command = [f"{home}/.venv/bin/ansible-playbook", f"{home}/playbooks/launch.yml"]
    command += ["-i", f"{home}/inventories/hosts.yml", "-l", "oci-vm"]
    command += ["-e", "oci_instance_mode=tick", "-e", '{"oci_instance_timer": true}']
    service = jobs.unit(
        {
            "Unit": [
                ("Description", "Hunt for the OCI instance onebox, one round"),
                ("Wants", "network-online.target"),
                ("After", "network-online.target"),
            ],
            "Service": [
                ("Type", "oneshot"),
                ("WorkingDirectory", home),
                ("Environment", {"LC_ALL": "C.UTF-8", "ONEBOX_TIMER": "1"}),
                ("ExecStart", command),
            ],
        }
    )
    assert service == LAUNCH_SERVICE
    timer = jobs.unit(
        {
            "Unit": [("Description", "Hunt for the OCI instance onebox until it is captured")],
            "Timer": [("OnBootSec", "120"), ("OnActiveSec", "60"), ("OnUnitInactiveSec", "60")],
            "Install": [("WantedBy", "timers.target")],
        }
    )
    assert timer == LAUNCH_TIMER


VERIFY_SERVICE = """\
# Made by playbooks/verify.yml of onebox.stack. It fails while a mount is not proven: systemctl --failed
[Unit]
Description=Prove the mounts of 97layer

[Service]
Type=oneshot
ExecStart="/usr/local/bin/onebox-verify-97layer" "--engine" "auto" "--project" "97layer" \
"--working-dir" "/opt/onebox/97layer" "--textfile" "/var/lib/prometheus/node-exporter/onebox-mounts.prom"
TimeoutStartSec=10min
"""

VERIFY_TIMER = """\
# Made by playbooks/verify.yml of onebox.stack.
[Unit]
Description=Prove the mounts of 97layer regularly

[Timer]
OnBootSec=5min
OnUnitActiveSec=15min
RandomizedDelaySec=30s

[Install]
WantedBy=timers.target
"""


def test_units_of_the_mount_check_keep_their_bytes():
    """As playbooks/verify.yml renders them."""
    command = ["/usr/local/bin/onebox-verify-97layer", "--engine", "auto", "--project", "97layer"]
    command += ["--working-dir", "/opt/onebox/97layer"]
    command += ["--textfile", "/var/lib/prometheus/node-exporter/onebox-mounts.prom"]
    service = jobs.unit(
        {
            "Unit": [("Description", "Prove the mounts of 97layer")],
            "Service": [
                ("Type", "oneshot"),
                ("ExecStart", [Quoted(word) for word in command]),
                ("TimeoutStartSec", "10min"),
            ],
        },
        "Made by playbooks/verify.yml of onebox.stack. It fails while a mount is not proven: systemctl --failed",
    )
    assert service == VERIFY_SERVICE
    timer = jobs.unit(
        {
            "Unit": [("Description", "Prove the mounts of 97layer regularly")],
            "Timer": [("OnBootSec", "5min"), ("OnUnitActiveSec", "15min"), ("RandomizedDelaySec", "30s")],
            "Install": [("WantedBy", "timers.target")],
        },
        "Made by playbooks/verify.yml of onebox.stack.",
    )
    assert timer == VERIFY_TIMER
