"""The words that check_style.py refuses, the verbs it accepts in task names, and the folders it does not check yet."""

from __future__ import annotations

import re
import typing as t

# Folders and files whose words are not checked yet. Remove an entry when its folder is clean; never add one.
PENDING: tuple[str, ...] = ()


# Texts that hosts have already. A rewording would rewrite the units of every host without a change in what they do.
KEPT: tuple[str, ...] = ("roles/backups/vars/main.yml",)


class Word(t.NamedTuple):
    """One refused word or phrase: its pattern, the replacement, and the part of the paths it applies to."""

    pattern: re.Pattern[str]
    say: str
    where: str = ""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _word(pattern: str, say: str, where: str = "") -> Word:
    return Word(re.compile(pattern, re.IGNORECASE), say, where)


WORDS: tuple[Word, ...] = (
    # Idioms carried over from another language.
    _word(r"\banew\b", "again"),
    _word(r"\bbesides\b", "also"),
    _word(r"\bbeside\b", "next to"),
    _word(r"\bformer(ly)?\b", "previous, earlier"),
    _word(r"\bmend(s|ed|ings?)?\b", "fix"),
    _word(r"\bnobody\b", "no user, no process, or the verb with not"),
    _word(r"\bfor want of\b", "without"),
    _word(r"\b(has|have|had) not got\b", "does not have"),
    _word(r"\bshall\b", "must, will"),
    _word(r"\btaken for\b", "mistaken for"),
    _word(r"\b(go(es|ing)?|went|gone) on\b", "continue"),
    _word(r"\b(go(es|ing)?|went) by\b", "uses, follows"),
    _word(r"\bin life\b", "in production"),
    _word(r"\bthe very same\b", "the same"),
    _word(r"\bat all events\b", "always"),
    # The verb of the action.
    _word(r"\b(tell|tells|telling|told)\b", "report, notify"),
    _word(r"\b(ask|asks|asking|asked)\b", "check, query, request"),
    _word(r"\b(hear|hears|hearing|heard)\b", "is notified of"),
    _word(r"\blook(s|ed|ing)?\b(?!-alike| up| like)", "inspect, check"),
    _word(r"\b(take|takes|took|taken) away\b", "remove"),
    _word(r"\b(takes?|took|taken) (it |them |that )?back\b", "roll back"),
    _word(r"\b(gives?|gave|given|giving) (it |them |that )?back\b", "return, restore"),
    # Negate the verb.
    _word(
        r"(?<!there )(?<!there\\s)\b(is|are|was|were) no\b(?! longer| more\b| later| earlier| older| newer| one\b)",
        "negate the verb: is not, does not",
    ),
    _word(r"\b(goes|go|went|come|comes) (in)?to no\b", "negate the verb: cannot, does not"),
    # The glossary.
    _word(r"(?<!as )(?<!-)\b(un)?well\b(?!-)", "healthy, unhealthy"),
    _word(r"\bgood set\b", "release"),
    _word(r"\bhunt(s|ed|ing)?\b", "launch loop"),
    _word(r"\bwish(es)?\b", "spec"),
    _word(r"\bdoubts?\b", "unknown outcome"),
    _word(r"\bpatien(ce|t)\b", "retry"),
    _word(r"\barrivals?\b", "import, running"),
    _word(r"\btwins?\b", "look-alike directory"),
    _word(r"\bstand-ins?\b", "substitute image"),
    _word(r"\bstood in for\b", "replaced by a substitute image"),
    _word(r"\bfrozen hours\b", "change freeze"),
    _word(r"\blabs?\b", "throwaway server"),
    _word(r"(?<!-)\bbox(es)?\b(?!-)", "host"),
    _word(r"\baside\b", "saved copy"),
    _word(r"(?<!health )(?<!health-)\bgates?\b", "health gate"),
    _word(r"\bdeclarations?\b", "backup configuration", "backup"),
)

# A heading, a task name and a test name are read alone: they have no noun a pronoun could refer to.
PRONOUNS = _set("it them they theirs those what somebody nobody he she")
# A test name starts with its subject.
NOT_SUBJECTS = frozenset({"a", "an", "the", "that", "this", "these", "its", "their", *PRONOUNS})

VERBS = _set(
    """
    add adopt allow answer apply assert authorize avoid back block build calculate capture change check choose
    clean clear clone close collect compare configure connect continue convert copy corrupt count create cut
    deactivate decide delete deploy derive destroy detach disable discard disconnect display download drop enable
    encrypt end enforce ensure escape evaluate exclude expect expose extract fail fetch fill find flush format
    free gather generate identify import include initialize inspect install interrupt invoke kill launch limit
    link list load lock log manage mark mask measure migrate modify mount move notify open overwrite parse pause
    plan power prepare print protect prove publish pull push query read reboot rebuild record recreate refresh
    refuse register rehearse reject release reload remove rename render repair replace report require rerun reset
    resolve restart restore resume retire retrieve retry revert roll rotate run save schedule seed select send set
    share show shrink shut simulate skip split stage start stop store summarize switch synchronize tag terminate
    test touch trigger truncate uninstall unload unmount update upgrade upload use validate verify wait warn write
    """
)
# Verbs that do not name the action, and the replacement.
REFUSED_VERBS = {
    "ask": "query, check",
    "be": "ensure, fail if",
    "bring": "copy, start",
    "demand": "require",
    "do": "the verb of the action",
    "forget": "remove, clear",
    "get": "fetch, query",
    "give": "create, set, restore",
    "go": "continue, change to",
    "have": "install, create, enable, ensure",
    "insist": "require",
    "keep": "save, retain",
    "know": "check, fail if",
    "leave": "end, skip",
    "let": "allow, open",
    "look": "inspect, check",
    "lose": "remove, delete",
    "make": "create, ensure",
    "mend": "fix, restore",
    "miss": "fail if ... is missing",
    "need": "require",
    "put": "copy, install",
    "say": "report, show",
    "see": "check, verify",
    "take": "copy, create, remove",
    "tell": "report, notify",
    "throw": "remove, raise",
    "win": "launch",
}
