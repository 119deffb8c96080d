# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program gets from systemd what core/jobs was given: words, variables and directory."""

import json

from ansible_collections.onebox.stack.plugins.module_utils.core import jobs

UNIT = "/run/systemd/system/obx-words.service"
FOLDER = "/run/obx ${HOME} $$ 50%h; é"
RESULT = "/run/obx-words.json"
PROGRAM = "import json, os, sys; json.dump([sys.argv[2:], os.environ['A'], os.getcwd()], open(sys.argv[1], 'w'))"
VALUE = '$HOME ${HOME} $$ 50%h \\ "it\'s"\t\n é'
WORDS = ["", "$HOME", "${HOME}", "x$$", "%h %%", 'say "hi"', "it's", "\"'", "\\", "\\n", ";", "#", "-x", " a  b ", "*"]
WORDS += ["a\tb\nc", "\x01\x7f\x1b", "한글 é 😀", "\u2028\u00a0", "`id`", "$(id)", "~", "{a,b}", "!x"]


def test_program_gets_its_words_and_variables_unchanged(host):
    sections: dict[str, list[jobs.Setting]] = {
        "Unit": [("Description", "$HOME 50%h\nExecStart=/bin/false"), ("RequiresMountsFor", [FOLDER])],
        "Service": [
            ("Type", "oneshot"),
            ("WorkingDirectory", FOLDER),
            ("Environment", {"A": VALUE}),
            ("ExecStart", [f"{FOLDER}/python3", "-c", PROGRAM, RESULT, *WORDS]),
        ],
    }
    try:
        host.check_output("mkdir -p %s && ln -sf /usr/bin/python3 %s", FOLDER, f"{FOLDER}/python3")
        host.check_output("printf %%s %s >%s && systemctl daemon-reload", jobs.unit(sections), UNIT)
        host.check_output("systemctl start obx-words.service")
        assert json.loads(host.file(RESULT).content_string) == [WORDS, VALUE, FOLDER]
        assert host.check_output("systemctl show -p Description --value obx-words.service") == (
            "$HOME 50%h ExecStart=/bin/false"
        )
    finally:
        host.run("rm -rf %s %s %s; systemctl daemon-reload", UNIT, RESULT, FOLDER)
