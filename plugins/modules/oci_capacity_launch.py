# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_capacity_launch
short_description: Launch one Oracle Cloud instance, with retries until there is capacity
version_added: 0.1.0
author: The onebox.stack developers (@onebox-stack)
description:
  - Requests one compute instance repeatedly, at a rate that Oracle tolerates, until Oracle has capacity for it.
  - Runs on the controller and shows each attempt, Oracle's answer, and the time of the next attempt.
  - Each request is written to O(state_file) before it is sent. If its outcome stays unknown (a timeout, a server error,
    a kill, a power cut), the next step is to read the instance list, and then to send the same request again with the
    same retry token. This way no second instance is launched, and none is lost.
  - A tag marks the instance, so it is found even if the state file is lost. It is used only if it was launched with
    O(ssh_public_key), O(image_id) and O(user_data). A tag alone is not a proof.
  - Several controllers, each with its own state file, end up with one instance. The list is read before each request
    and after each accepted one. Of two instances the running one is kept, otherwise the one with the lowest OCID. The
    other controller terminates its own instance if that has never run. If both run, nothing is terminated and both
    OCIDs are reported.
  - An instance that runs or ran is terminated only by O(state=absent) with its OCID as O(confirm).
  - A C(404) alone does not prove that an instance is gone. The list is read as well, and both again after five
    minutes. Then the task fails until you set O(replace) and O(confirm).
  - An unknown answer ends the run and is not retried.
extends_documentation_fragment:
  - onebox.stack.oci_account
attributes:
  check_mode:
    support: full
    description: Reads the existing resources and returns the exact request. Sends no request that changes anything.
  diff_mode:
    support: full
    description: Shows the request in check mode, otherwise the instance that was launched or terminated.
options:
  name:
    description: Display name of the instance. There is at most one of this name in the compartment.
    type: str
    required: true
  compartment_id:
    description: OCID of the compartment, or of the tenancy for its root compartment.
    type: str
    required: true
  availability_domains:
    description: Names of the availability domains to try. Empty tries all of the region.
    type: list
    elements: str
    default: []
  subnet_id:
    description: OCID of the subnet. Required with O(state=present).
    type: str
  image_id:
    description: OCID of the image. Required with O(state=present).
    type: str
  shape:
    description: Shape of the instance.
    type: str
    default: VM.Standard.A1.Flex
  ocpus:
    description: OCPUs of a flexible shape.
    type: float
    default: 2.0
  memory_gb:
    description: GB of memory of a flexible shape.
    type: float
    default: 12.0
  smaller_sizes:
    description:
      - Sizes to request, in this order, if the first one is refused in every domain of a round.
      - Oracle has capacity for small instances more often. Each size adds one request per domain to a round.
    type: list
    elements: dict
    default: []
    suboptions:
      ocpus:
        description: OCPUs.
        type: float
        required: true
      memory_gb:
        description: GB of memory.
        type: float
        required: true
  fault_domains:
    description:
      - Fault domains to try, one request for each. If empty, Oracle tries all of them with one request, as Oracle
        recommends.
    type: list
    elements: str
    default: []
  boot_volume_gb:
    description: GB of the boot volume, at least 50.
    type: int
    default: 50
  ssh_public_key:
    description: Content of the public key file, one line. Required with O(state=present).
    type: str
  user_data:
    description: Text for cloud-init. Every process on the instance can read it.
    type: str
    default: ""
  assign_public_ip:
    description: Assign a public address. Without one, the instance counts as captured with a private address.
    type: bool
    default: true
  tags:
    description: Additional freeform tags.
    type: dict
    default: {}
  allow_paid:
    description:
      - Allow sizes that are not Always Free. Otherwise a launch is refused if the compartment would have more than 2
        OCPU, 12 GB (the allowance since June 2026) or 200 GB of disk in total.
    type: bool
    default: false
  state:
    description:
      - V(absent) terminates the instance that O(confirm) names, and deletes its disk.
    type: str
    choices: [present, absent]
    default: present
  confirm:
    description:
      - With O(state=absent), the OCID of the instance to terminate.
      - The O(name) is enough to end a launch loop that has no instance, and for an instance of O(state_file) that never
        ran. For an instance that runs, ran, or may have run, the task fails with its OCID and changes nothing, also in
        check mode.
      - With O(state=present), the OCID of a tagged instance that you confirm as yours although its key, image or user
        data differ.
      - With O(replace=true), the OCID of an instance for which Oracle answers 404, and that you confirm as gone.
    type: str
    default: ""
  mode:
    description:
      - V(block) runs until the instance runs, or until O(max_duration).
      - V(tick) makes at most one round over the domains, if one is due. Use it in timers and C(until) loops. It does
        not fail while Oracle has no capacity, see RV(captured). After a final answer it sends no requests until the
        request changes or a user runs V(block).
    type: str
    choices: [block, tick]
    default: block
  max_duration:
    description:
      - Seconds after which V(block) fails. V(0) sets no limit. The run ends at once if the next request would come
        later. The next run continues where this one ended.
    type: float
    default: 604800.0
  max_attempts:
    description: Launch requests after which the launch loop fails, over all runs. V(0) sets no limit.
    type: int
    default: 20000
  capacity_interval:
    description:
      - Seconds from the start of one round over the domains to the next. The requests of a round are spread evenly,
        with at least a third of O(interval_floor) between two of them. More sizes make a round longer.
    type: float
    default: 300.0
  throttle_base:
    description: Seconds to wait after the first C(429 Too Many Requests), doubled after each further one in a row.
    type: float
    default: 900.0
  throttle_max:
    description: Longest wait after a C(429), in seconds. A longer C(Retry-After) of the server is respected.
    type: float
    default: 3600.0
  jitter_max:
    description: Largest random extension of a wait, in seconds. The extension is at most a tenth of the wait.
    type: float
    default: 120.0
  interval_floor:
    description:
      - Smallest number of seconds between two rounds, whatever the other options.
      - Values below 300 need a private O(endpoint). Oracle throttles accounts with more requests, and restricted some.
    type: float
    default: 300.0
  state_file:
    description:
      - File for the state of the launch loop. By default C(onebox/oci/<name>.json) below C($XDG_STATE_HOME) or
        C(~/.local/state).
      - Only one launcher at a time can use it. It contains O(user_data), but no keys.
    type: path
    default: ""
  replace:
    description:
      - Launch a new instance to replace one that ran and was terminated. Without it, the task fails in that case.
      - Never terminates an instance, and can stay set.
    type: bool
    default: false
  host_key_timeout:
    description:
      - Seconds to wait after the capture for the SSH host keys that cloud-init prints on the serial console. They are
        returned as RV(instance.host_keys). V(0) does not read them.
      - Needs the permission to manage console histories. Without it, or without the keys, the task warns.
    type: float
    default: 0.0
  discord_webhook:
    description:
      - URL of a Discord webhook to notify of the start, each change of state and the end, and of the progress once a
        day.
      - A failed notification does not affect the launch. Messages do not contain the URL.
    type: str
    default: ""
seealso:
  - module: onebox.stack.oci_preflight
  - module: onebox.stack.oci_network
"""

EXAMPLES = r"""
- name: Launch an instance and wait until it runs
  onebox.stack.oci_capacity_launch:
    name: coinpilot-ins
    compartment_id: ocid1.tenancy.oc1..aaaaexample
    subnet_id: ocid1.subnet.oc1.ap-chuncheon-1.aaaaexample
    image_id: ocid1.image.oc1.ap-chuncheon-1.aaaaexample
    ssh_public_key: "{{ lookup('ansible.builtin.file', '~/.ssh/coinpilot.pub') }}"
  register: launch

- name: Make one round if one is due, for a timer
  onebox.stack.oci_capacity_launch:
    name: coinpilot-ins
    compartment_id: ocid1.tenancy.oc1..aaaaexample
    subnet_id: ocid1.subnet.oc1.ap-chuncheon-1.aaaaexample
    image_id: ocid1.image.oc1.ap-chuncheon-1.aaaaexample
    ssh_public_key: "{{ lookup('ansible.builtin.file', '~/.ssh/coinpilot.pub') }}"
    mode: tick
    smaller_sizes:
      - ocpus: 1
        memory_gb: 6

- name: Terminate an instance, also one that another controller launched
  onebox.stack.oci_capacity_launch:
    name: coinpilot-ins
    compartment_id: ocid1.tenancy.oc1..aaaaexample
    state: absent
    confirm: ocid1.instance.oc1.ap-chuncheon-1.aaaaexample

- name: End a launch loop whose instance never ran
  onebox.stack.oci_capacity_launch:
    name: coinpilot-ins
    compartment_id: ocid1.tenancy.oc1..aaaaexample
    state: absent
    confirm: coinpilot-ins
"""

RETURN = r"""
captured:
  description: Whether the instance is RUNNING with the requested shape and has an address. SSH can need another minute.
  returned: always
  type: bool
instance:
  description: The instance. Empty while it does not exist.
  returned: always
  type: dict
  contains:
    id:
      description: OCID.
      type: str
      returned: when there is an instance
    state:
      description: State of the instance, such as RUNNING, or STARTING before it runs.
      type: str
      returned: when there is an instance
    public_ip:
      description: Public address. Empty without one.
      type: str
      returned: when there is an instance
    private_ip:
      description: Private address.
      type: str
      returned: when it is captured
    availability_domain:
      description: Its availability domain.
      type: str
      returned: when there is an instance
    shape:
      description: Its shape.
      type: str
      returned: when it is captured
    ocpus:
      description: Its OCPUs.
      type: float
      returned: when it is captured
    memory_gb:
      description: Its memory in GB.
      type: float
      returned: when it is captured
    host_keys:
      description: SSH host keys of the instance, as type and base64. Empty if the console did not show them.
      type: list
      elements: str
      returned: when it is captured and O(host_key_timeout) is above 0
ended:
  description:
    - Whether a final answer ended the launch loop. You can remove a timer then, because ticks send no more requests.
  returned: on failure
  type: bool
attempts:
  description: Launch requests sent in this launch loop, over all runs.
  returned: always
  type: int
last_error:
  description: Oracle's last refusal. Empty before the first one.
  returned: always
  type: dict
  contains:
    status:
      description: HTTP status, or 0 without an answer.
      type: int
      returned: when there was one
    code:
      description: Oracle's error code.
      type: str
      returned: when there was one
    message:
      description: Oracle's message.
      type: str
      returned: when there was one
    opc_request_id:
      description: Request id for Oracle's support.
      type: str
      returned: when there was one
next_attempt_at:
  description: Time of the next request, in UTC. Empty if none is planned.
  returned: always
  type: str
  sample: "2026-11-21T10:27:19Z"
state_file:
  description: Path of the state file.
  returned: always
  type: str
request:
  description: Body of the request that would be sent, without O(user_data).
  returned: in check mode, when a request would be sent
  type: dict
"""
