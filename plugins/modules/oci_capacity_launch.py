# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_capacity_launch
short_description: Launch one instance at Oracle Cloud through days of missing capacity, and never two
version_added: 0.1.0
author: The onebox.stack developers (@onebox-stack)
description:
  - Asks for one compute instance again and again, politely, until Oracle has room for it.
  - Runs on the controller and shows each attempt, Oracle's answer, and when the next one comes.
  - Each request is written to O(state_file) before it is sent. When its outcome stays unknown (a timeout, a server
    error, a kill, a power cut), the instance list is read first, then the very same request is sent again with the
    same retry token, before anything else. So there is never a second instance, and none is lost.
  - The instance is known by a tag, so it is found again even when the state file is lost. It is used only when it was
    launched with O(ssh_public_key), O(image_id) and O(user_data); a tag alone proves nothing.
  - Several controllers, each with a state file of its own, end up with one instance. The list is read before each
    request and again after each accepted one. Of two instances the running one stays, else the one with the lowest
    OCID, and the other controller gives its own back while it has never run. When both run, nothing is terminated and
    both OCIDs are reported.
  - Nothing that runs or ran is terminated, except by O(state=absent) with its OCID as O(confirm).
  - A C(404) never means that an instance is gone. The list is read as well, both again after five minutes, and then the
    owner is asked to set O(replace) and O(confirm).
  - An answer that is not in the table of known answers stops the run; it is never retried.
extends_documentation_fragment:
  - onebox.stack.oci_account
attributes:
  check_mode:
    support: full
    description: Reads what exists, prints the exact request, and sends nothing that changes anything.
  diff_mode:
    support: full
    description: Shows the request in check mode, else the instance that came or went.
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
    description: Names of the availability domains to try. All of the region when empty.
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
    description: The shape.
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
      - Sizes to ask for after the wanted one has been refused in every domain of a round, in this order.
      - Small instances find a place more easily; each size adds one request per domain to a round.
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
      - Fault domains to name, one request for each. Leave it empty - Oracle then looks in all of them at once, which is
        what Oracle recommends and costs one request.
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
    description: Text for cloud-init. It is readable for everything that runs on the instance.
    type: str
    default: ""
  assign_public_ip:
    description: Whether the instance gets a public address. Without one it counts as captured with a private address.
    type: bool
    default: true
  tags:
    description: Further freeform tags.
    type: dict
    default: {}
  allow_paid:
    description:
      - Allow what is not Always Free. Without it, more than 2 OCPU, 12 GB (the allowance since June 2026) or 200 GB of
        disk, together with what runs in the compartment, is refused before anything is sent.
    type: bool
    default: false
  state:
    description:
      - V(absent) terminates one instance and deletes its disk. O(confirm) says which.
    type: str
    choices: [present, absent]
    default: present
  confirm:
    description:
      - With O(state=absent) the OCID of the instance to terminate.
      - The O(name) is enough to end a launch loop that has no instance, and for an instance of O(state_file) that never
        ran. For one that runs, ran, or may have run, nothing is done and the task fails, also in check mode. The
        message names the OCID.
      - With O(state=present) the OCID of an instance with our tag that you know to be yours although its key, image or
        user data differ.
      - With O(replace=true) the OCID of an instance that Oracle answers 404 for, and that you know to be gone.
    type: str
    default: ""
  mode:
    description:
      - V(block) stays until the instance runs, or until O(max_duration).
      - V(tick) makes at most one round over the domains, when one is due, and returns; for timers and C(until) loops.
        It does not fail when there is no room yet, see RV(captured). After a final answer it sends nothing more, until
        the request changes or somebody runs V(block).
    type: str
    choices: [block, tick]
    default: block
  max_duration:
    description:
      - Seconds after which V(block) gives up for this run and fails, 0 for no limit. It ends at once when the next
        request would come later than that. Nothing is lost - the next run goes on where this one ended.
    type: float
    default: 604800.0
  max_attempts:
    description: Launch requests over the whole launch loop, restarts included, after which it fails. 0 for no limit.
    type: int
    default: 20000
  capacity_interval:
    description:
      - Seconds from the beginning of one round over the domains to the next. The requests of a round are spread evenly
        over it, and are never closer than a third of O(interval_floor); more sizes make a round longer.
    type: float
    default: 300.0
  throttle_base:
    description: Seconds to wait after the first C(429 Too Many Requests); doubled with each further one in a row.
    type: float
    default: 900.0
  throttle_max:
    description: The longest wait of that kind. A C(Retry-After) of the server is kept even when it is longer.
    type: float
    default: 3600.0
  jitter_max:
    description: Up to a tenth of each wait is added at random, and never more than this many seconds.
    type: float
    default: 120.0
  interval_floor:
    description:
      - No two rounds are closer than this many seconds, whatever the other options say.
      - Below 300 only with a private O(endpoint). Asking more often gets accounts throttled, and some were restricted.
    type: float
    default: 300.0
  state_file:
    description:
      - Where the launch loop keeps its state. By default C(onebox/oci/<name>.json) below C($XDG_STATE_HOME) or
        C(~/.local/state).
      - One launcher at a time works with it. It holds no key, but all of O(user_data).
    type: path
    default: ""
  replace:
    description:
      - Launch a new instance in place of one that had run and was terminated. Otherwise that fails.
      - It never terminates anything. It may stay set.
    type: bool
    default: false
  host_key_timeout:
    description:
      - Seconds to wait, once the instance is captured, for the SSH host keys that cloud-init prints on its serial
        console. They are returned as RV(instance.host_keys). 0 does not read them.
      - Needs the right to manage console histories. Without it, or without the keys, the result has a warning.
    type: float
    default: 0.0
  discord_webhook:
    description:
      - URL of a Discord webhook. It is told about the start, each change of state, the end, and once a day how things
        stand.
      - A failure there never harms the launch, and the URL appears in no message.
    type: str
    default: ""
seealso:
  - module: onebox.stack.oci_preflight
  - module: onebox.stack.oci_network
"""

EXAMPLES = r"""
- name: Stay until the instance runs
  onebox.stack.oci_capacity_launch:
    name: coinpilot-ins
    compartment_id: ocid1.tenancy.oc1..aaaaexample
    subnet_id: ocid1.subnet.oc1.ap-chuncheon-1.aaaaexample
    image_id: ocid1.image.oc1.ap-chuncheon-1.aaaaexample
    ssh_public_key: "{{ lookup('ansible.builtin.file', '~/.ssh/coinpilot.pub') }}"
  register: launch

- name: One round, when one is due (a timer comes again)
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

- name: Terminate the instance (also a second one that another controller launched)
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
  description: Whether the instance is RUNNING with the asked shape and has an address. SSH may need another minute.
  returned: always
  type: bool
instance:
  description: The instance; empty while there is none.
  returned: always
  type: dict
  contains:
    id:
      description: OCID.
      type: str
      returned: when there is an instance
    state:
      description: RUNNING, or STARTING while it is on its way.
      type: str
      returned: when there is an instance
    public_ip:
      description: Public address, empty without one.
      type: str
      returned: when there is an instance
    private_ip:
      description: Private address.
      type: str
      returned: when it is captured
    availability_domain:
      description: Where it is.
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
      description: SSH host keys of the instance, as type and base64; empty when the console did not show them.
      type: list
      elements: str
      returned: when it is captured and O(host_key_timeout) is above 0
ended:
  description:
    - Whether a final answer ended the launch loop. A timer may be removed then, because further ticks send nothing.
  returned: on failure
  type: bool
attempts:
  description: Launch requests sent so far in this launch loop, over all runs.
  returned: always
  type: int
last_error:
  description: Oracle's last refusal; empty when there was none.
  returned: always
  type: dict
  contains:
    status:
      description: HTTP status, 0 when no answer came.
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
      description: What Oracle's support asks for.
      type: str
      returned: when there was one
next_attempt_at:
  description: When the next request is allowed, as UTC time; empty when none is planned.
  returned: always
  type: str
  sample: "2026-11-21T10:27:19Z"
state_file:
  description: The state file.
  returned: always
  type: str
request:
  description: The body of the request that would be sent; O(user_data) is left out.
  returned: in check mode, when a request would be sent
  type: dict
"""
