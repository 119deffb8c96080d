# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the testbed."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from onebox_testbed import bare, compose, daemons, docker, hosts, images, podman, scenarios
from onebox_testbed.base import CACHE, CHECKOUT, ROOT, TestbedError, alone, say


def _up(_options: argparse.Namespace) -> None:
    with alone():
        socket = docker.up()
        for name in ("tiny", "python"):
            images.ensure(socket, name)
        compose.up()
        podman.up()
    say(f"ready: Docker {docker.version(socket)} at {socket}, Compose {compose.version()}, {podman.version()}")


def _down(_options: argparse.Namespace) -> None:
    with alone():
        docker.down()
        podman.down()


def _status(_options: argparse.Namespace) -> None:
    socket = docker.find()
    print(f"checkout   {CHECKOUT}, cache {CACHE}")
    print(f"docker     {docker.version(socket)} at {socket}" if socket else "docker     no engine answers")
    if socket:
        for name, image in images.IMAGES.items():
            print(f"image      {name}: {'there' if images.has(socket, image) else 'not built'}")
    for name, entry in daemons.recorded().items():
        whose = "this checkout" if daemons.ours(entry) else entry["checkout"]
        print(f"started    {name}, process {entry['pid']}, by {whose}")


def _image(options: argparse.Namespace) -> None:
    with alone():
        socket = docker.up()
        for name in options.names:
            print(images.ensure(socket, name))


def _env(_options: argparse.Namespace) -> None:
    for key, value in sorted(environment().items()):
        print(f"export {key}={shlex.quote(value)}")


def environment() -> dict[str, str]:
    """What a process needs in its environment to use the testbed's engines.

    Raises:
        TestbedError: there is no Docker engine; the text says what to run.
    """
    socket = docker.find()
    if socket is None:
        raise TestbedError("no Docker engine answers; run: make testbed")
    return {**docker.environment(socket), **compose.environment()}


def _molecule(options: argparse.Namespace) -> None:
    with alone():
        socket = docker.up()
        env = hosts.environment(socket, options.arguments or scenarios.names())
    # The program itself is also searched on PATH.
    os.environ["PATH"] = env["PATH"]
    if not options.arguments:
        try:
            scenarios.run_all(env)
        finally:
            docker.clear(socket)  # Molecule destroys its hosts, unless it was interrupted
    else:
        os.chdir(ROOT)
        os.execvpe("molecule", ["molecule", *options.arguments], {**os.environ, **env})


def _start_host(options: argparse.Namespace) -> None:
    with alone():
        socket = docker.up()
        docker.use_in_context(socket)
        print(hosts.start(socket, options.name, options.image, options.archive))


def _remove_host(options: argparse.Namespace) -> None:
    socket = docker.find()
    if socket is not None:  # without an engine there are no hosts
        hosts.remove(socket, options.name)


def _bare(options: argparse.Namespace) -> None:
    with alone():
        socket = docker.up()
        images.ensure(socket, "debian12-bare")
    sys.exit(bare.trial(socket, options.command, user=options.user, keep=options.keep))


def main() -> None:
    parser = argparse.ArgumentParser(prog="testbed.py", description="Engines and images for the tests.")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("up", help="make sure the engines answer and hold the test images").set_defaults(call=_up)
    commands.add_parser("down", help="remove and stop what the testbed made and started").set_defaults(call=_down)
    commands.add_parser("status", help="what is there").set_defaults(call=_status)
    commands.add_parser("env", help="print what a shell has to export to use the engines").set_defaults(call=_env)
    image = commands.add_parser("image", help="build images")
    image.add_argument("names", nargs="+", metavar="NAME", help=f"one of {', '.join(images.NAMES)}")
    image.set_defaults(call=_image)
    host = commands.add_parser("host", help="start or remove a systemd host").add_subparsers(dest="how", required=True)
    start = host.add_parser("start", help="start a host, wait until it has booted, print the name of its container")
    start.add_argument("name")
    start.add_argument("--image", default="debian13", help="default: %(default)s")
    start.add_argument("--archive", action="append", default=[], metavar="NAME", help="an image it can load")
    start.set_defaults(call=_start_host)
    remove = host.add_parser("remove", help="remove a host")
    remove.add_argument("name")
    remove.set_defaults(call=_remove_host)
    molecule = commands.add_parser("molecule", help="run molecule on the testbed's hosts (default: all scenarios)")
    molecule.add_argument("arguments", nargs=argparse.REMAINDER)
    molecule.set_defaults(call=_molecule)
    trial = commands.add_parser("bare", help="run a command in a clone of HEAD on a bare Debian 12 machine")
    trial.add_argument("--user", action="store_true", help="as an ordinary user instead of root")
    trial.add_argument("--keep", action="store_true", help="leave the machine there afterwards")
    trial.add_argument("command", nargs="?", default="make demo", help="a shell command (default: make demo)")
    trial.set_defaults(call=_bare)
    options = parser.parse_args()
    try:
        options.call(options)
    except TestbedError as error:
        sys.exit(f"testbed: {error}")


if __name__ == "__main__":
    main()
