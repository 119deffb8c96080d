# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find wrong parameters before the first launch request. Oracle answers most of them with the same 404."""

from __future__ import annotations

import configparser
import email.utils
import functools
import hashlib
import importlib
import os
import stat
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, freetier, protocol, tenancy
from ansible_collections.onebox.stack.plugins.module_utils.oci.api import Api
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed, OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import check_ocid, check_public_key

# Oracle refuses requests with a date that is more than this many seconds off.
SKEW_REFUSED = 300.0
SKEW_NOTICED = 60.0
_LIMITS = {"ocpus": "standard-a1-core-count", "memory_gb": "standard-a1-memory-count"}


@dataclass
class Findings:
    """The result of the preflight. A launch should use ``image`` and ``availability_domains``."""

    problems: list[dict[str, str]] = field(default_factory=list)
    limits: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    availability_domains: list[str] = field(default_factory=list)
    image: dict[str, str] = field(default_factory=dict)
    instance: dict[str, str] = field(default_factory=dict)

    def error(self, parameter: str, problem: str, fix: str) -> None:
        """Add a problem that makes a launch impossible."""
        self.problems.append({"parameter": parameter, "severity": "error", "problem": problem, "fix": fix})

    def warning(self, parameter: str, problem: str, fix: str) -> None:
        """Add a problem that does not prevent a launch."""
        self.problems.append({"parameter": parameter, "severity": "warning", "problem": problem, "fix": fix})

    @property
    def failed(self) -> bool:
        return any(problem["severity"] == "error" for problem in self.problems)

    def as_result(self) -> dict[str, t.Any]:
        return asdict(self)


Params = t.Mapping[str, t.Any]


def offline(params: Params, found: Findings, world: World) -> None:
    """The checks that need no request: the form of OCIDs and keys, files and their modes, the free allowance."""
    for option, kinds in (
        ("compartment_id", ("compartment", "tenancy")),
        ("subnet_id", ("subnet",)),
        ("image_id", ("image",)),
    ):
        if params[option]:
            _try(found, option, functools.partial(check_ocid, option, params[option], kinds))
    if params["ssh_public_key"]:
        _try(found, "ssh_public_key", lambda: check_public_key("ssh_public_key", params["ssh_public_key"]))
    if params["ssh_private_key_file"]:
        _key_pair(params, found, world)
    if not params["allow_paid"]:
        sizes = (params["ocpus"], params["memory_gb"], params["boot_volume_gb"])
        for reason in freetier.over_allowance(params["shape"], *sizes):
            found.error("allow_paid", f"not free as of {freetier.AS_OF}: {reason}", "Request less, or set allow_paid.")
    if params["auth"] != "instance_principal":
        _profile(params, found)


def _try(found: Findings, option: str, check: t.Callable[[], None]) -> None:
    try:
        check()
    except OciError as error:
        found.error(option, str(error), f"Correct {option}.")


def _key_pair(params: Params, found: Findings, world: World) -> None:
    """Check that the private key exists, is private, and belongs to the public key: it is needed weeks later."""
    path = params["ssh_private_key_file"]
    option = "ssh_private_key_file"
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError as error:
        found.error(option, f"{path}: {error.strerror}", "Without it, no login is possible. Set the right file.")
        return
    if mode & 0o077:
        found.error(option, f"{path} has mode {mode:04o}", f"ssh refuses such a key. Run: chmod 600 {path}")
        return
    try:
        result = world.run(["ssh-keygen", "-y", "-P", "", "-f", path], timeout=10, check=False)
    except process.CommandError as error:
        found.warning(option, f"cannot be compared with the public key: {error}", "Install OpenSSH's client.")
        return
    if result.rc != 0:
        found.warning(
            option,
            f"{path} cannot be read without a passphrase, so it was not compared with ssh_public_key",
            "Load it into ssh-agent. Otherwise the run stops after the launch.",
        )
    elif result.stdout.split()[:2] != (params["ssh_public_key"] or "").split()[:2]:
        found.error(option, f"{path} is not the private key of ssh_public_key", "Set the .pub file that belongs to it.")


def _profile(params: Params, found: Findings) -> None:
    path, profile = os.path.expanduser(params["config_file"]), params["config_profile"]
    parser = configparser.ConfigParser(interpolation=None)
    try:
        if not parser.read(path):
            found.error(
                "config_file", f"{path} does not exist", "Create it with 'oci setup config', or in the console."
            )
            return
    except configparser.Error as error:
        found.error("config_file", f"{path} is not a config file: {str(error).splitlines()[0]}", "Correct it.")
        return
    if profile not in parser:
        found.error(
            "config_profile", f"[{profile}] is not in {path}", f"It has: {', '.join(parser.sections()) or 'none'}"
        )
        return
    section = parser[profile]
    key = os.path.expanduser(section.get("key_file", ""))
    if not key:
        found.error("config_file", f"[{profile}] of {path} has no key_file", "Add the path of the API key.")
        return
    try:
        mode = stat.S_IMODE(os.stat(key).st_mode)
        with open(key, "rb") as stream:
            content = stream.read()
    except OSError as error:
        found.error("config_file", f"key_file {key}: {error.strerror}", "Correct key_file, or copy the key there.")
        return
    if mode & 0o077:
        found.error("config_file", f"key_file {key} has mode {mode:04o}: others can read it", f"chmod 600 {key}")
    if not section.get("security_token_file"):
        _fingerprint(section, key, content, found)
    region = section.get("region", "")
    for option in ("subnet_id", "image_id"):
        parts = (params[option] or "").split(".")
        if len(parts) >= 5 and "-" in parts[3] and region and parts[3] != region:
            found.error(
                option, f"it belongs to {parts[3]}, the config file says {region}", f"Correct {option} or region."
            )


def _fingerprint(section: configparser.SectionProxy, path: str, content: bytes, found: Findings) -> None:
    try:
        serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
    except ImportError:
        return  # Oracle's SDK brings it; its absence is reported when the SDK is loaded
    passphrase = section.get("pass_phrase", "")
    try:
        key = serialization.load_pem_private_key(content, passphrase.encode() if passphrase else None)
    except TypeError:
        found.error("config_file", f"key_file {path} is encrypted", "Add a line pass_phrase=… to the profile.")
        return
    except ValueError:
        fix = "Check pass_phrase; the file must be the PEM file of the API key."
        found.error("config_file", f"key_file {path} cannot be read as a private key", fix)
        return
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.md5(der, usedforsecurity=False).hexdigest()  # Oracle's fingerprint
    real = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
    said = section.get("fingerprint", "")
    if said.lower() != real:
        fix = f"Set fingerprint={real}, and check that the console lists it under API keys."
        found.error("config_file", f"fingerprint {said or '(none)'} does not belong to key_file {path}", fix)


def online(params: Params, api: Api, region: str, world: World, found: Findings) -> None:
    """The checks with requests to Oracle. ``region`` is the one in use."""
    try:
        _clock(api, world.epoch(), found)
        domains = api.domains()
    except CallFailed as failed:
        verdict, rule = errors.classify(failed.answer, launch=False)
        parameter = "compartment_id" if failed.answer.status == 404 else "config_file"
        found.error(parameter, f"Oracle answered {failed.answer}", rule.fix or "Check the network, then run again.")
        return
    found.availability_domains = _domains(params, api, domains, found)
    for parameter, check in (
        ("config_file", lambda: _home(params, api, region, found)),
        ("subnet_id", lambda: _subnet(params, api, found)),
        ("image_id", lambda: _image(params, api, found)),
        ("name", lambda: _instances(params, api, found)),
        ("allow_paid", lambda: _free(params, api, domains, found)),
        ("ocpus", lambda: _limits(params, api, found)),
    ):
        try:
            check()
        except CallFailed as failed:
            verdict, rule = errors.classify(failed.answer, launch=False)
            fix = rule.fix or "Run again in a while."
            if parameter in ("config_file", "allow_paid", "ocpus"):  # the launch does not need this permission
                found.warning(parameter, f"could not be checked: Oracle answered {failed.answer}", fix)
            else:
                found.error(parameter, f"Oracle answered {failed.answer}", fix)


def _clock(api: Api, now: float, found: Findings) -> None:
    date = api.server_date()
    served = email.utils.parsedate_to_datetime(date).timestamp() if date else now
    off = now - served
    if abs(off) > SKEW_NOTICED:
        text = f"this machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} Oracle's"
        fix = "Enable time synchronization. Oracle refuses every request if the clock is more than 300 s off."
        (found.error if abs(off) > SKEW_REFUSED else found.warning)("clock", text, fix)


def _domains(params: Params, api: Api, domains: list[str], found: Findings) -> list[str]:
    unknown = [name for name in params["availability_domains"] if name not in domains]
    for name in unknown:
        found.error("availability_domains", f"{name} is not one of this region", f"They are: {', '.join(domains)}")
    wanted = params["availability_domains"] or domains
    fit = []
    for name in wanted:
        if name in unknown:
            continue
        try:
            if params["shape"] in api.shapes(name):
                fit.append(name)
            else:
                fix = "The launch skips it." if len(wanted) > 1 else "Choose another shape or region."
                found.warning("availability_domains", f"{name} does not have {params['shape']}", fix)
        except CallFailed:
            fit.append(name)  # the launch checks the domain again
    if not fit and not unknown:
        found.error("shape", f"no availability domain here has {params['shape']}", "Choose another shape or region.")
    return fit


def _home(params: Params, api: Api, region: str, found: Findings) -> None:
    home = api.home_region()
    if home and home != region and not params["allow_paid"]:
        found.error(
            "config_file",
            f"the region is {region}, the tenancy's home region is {home}",
            f"Always Free compute exists only in the home region: set region={home}, or allow_paid.",
        )


def _subnet(params: Params, api: Api, found: Findings) -> None:
    if not params["subnet_id"]:
        return
    row = api.subnet(params["subnet_id"])
    if row.get("lifecycleState") != "AVAILABLE":
        found.error("subnet_id", f"the subnet is {row.get('lifecycleState')}", "Set one that is AVAILABLE.")
    if row.get("prohibitPublicIpOnVnic"):
        fix = "Set a public subnet, or set assign_public_ip: false and use the private address."
        found.warning("subnet_id", "the subnet is private: the instance gets no public address", fix)
    only = row.get("availabilityDomain")
    if only:
        found.availability_domains = [name for name in found.availability_domains if name == only]
        found.warning("subnet_id", f"the subnet exists only in {only}", "A regional subnet allows more domains.")


def _image(params: Params, api: Api, found: Findings) -> None:
    shape = params["shape"]
    if params["image_id"]:
        row = api.image(params["image_id"])
        found.image = {"id": str(row["id"]), "name": str(row.get("displayName"))}
        if row.get("lifecycleState") != "AVAILABLE":
            found.error("image_id", f"the image is {row.get('lifecycleState')}", "Set one that is AVAILABLE.")
        system, version = str(row.get("operatingSystem") or ""), str(row.get("operatingSystemVersion") or "")
        if row["id"] not in [one["id"] for one in api.images(system, version, shape)]:
            fix = "Arm shapes need an aarch64 image. Leave image_id out to get the newest that fits."
            found.error("image_id", f"{row.get('displayName')} does not run on {shape}", fix)
        return
    system, version = params["operating_system"], params["operating_system_version"]
    rows = api.images(system, version, shape)
    if rows:
        found.image = {"id": str(rows[0]["id"]), "name": str(rows[0].get("displayName"))}
    else:
        fix = "These are tested: Canonical Ubuntu 24.04 or 22.04, Oracle Linux 9."
        found.error("operating_system", f"no image of {system} {version} for {shape}", fix)


def _instances(params: Params, api: Api, found: Findings) -> None:
    rows = protocol.alive(api.instances())
    ours = [row for row in rows if protocol.is_ours(row, params["name"])]
    if ours:
        found.instance = {"id": str(ours[0]["id"]), "state": str(ours[0]["lifecycleState"])}
        return
    same = [row for row in rows if row.get("displayName") == params["name"]]
    if same:
        fix = "To use it, set ansible_host to its address and do not launch one. Otherwise choose another name."
        found.error("name", f"this launcher did not create the instance of this name: {same[0]['id']}", fix)


def _free(params: Params, api: Api, domains: list[str], found: Findings) -> None:
    """Check that the instance is free, given the usage of the tenancy."""
    if params["allow_paid"] or found.instance:
        return
    used = tenancy.usage(api, params["shape"], domains, volumes=True)
    for reason in freetier.over_allowance(
        params["shape"], params["ocpus"], params["memory_gb"], params["boot_volume_gb"], (), used
    ):
        option = "boot_volume_gb" if "boot volume" in reason else "ocpus"
        fix = "Request less, delete unused resources in any compartment, or set allow_paid."
        found.error(option, f"not free in this tenancy: {reason}", fix)
    if used.unread:
        fix = "Add a policy with which the user may inspect compartments, instances, volumes and limits in the tenancy."
        found.warning("allow_paid", f"not counted for the free allowance: {', '.join(used.unread)}", fix)


def _limits(params: Params, api: Api, found: Findings) -> None:
    if params["shape"] != freetier.ARM_SHAPE:
        return
    for domain in found.availability_domains:
        found.limits[domain] = {}
        for option, limit in _LIMITS.items():
            row = found.limits[domain][limit] = api.available(limit, domain)
            left = row["available"]
            if left is not None and left < params[option] and not found.instance:
                fix = "These figures lag behind by an hour or more. If they do not change, request a limit increase."
                found.warning(option, f"{limit} in {domain}: {left} left, {params[option]:g} requested", fix)
