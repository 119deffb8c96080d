# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of a Redis: values, expiry times, streams with their groups, functions and users.

DEBUG DIGEST includes values, but of an expiry only its existence, and of a stream not its groups. A script inside the
server adds the rest.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.server import Server

# Not in an RDB, or not comparable.
NOT_COMPARED = (
    "users and passwords (ACL)",
    "settings made with CONFIG SET",
    "how often and when a key was last used",
    "expiry times before Redis 7",
)

# Sums hashes of keys, so that their order does not matter. Keys that expire before ARGV[2] (ms since 1970) are left
# out: they may have expired at the next comparison. ARGV[3] is "all", or "rest" for the data outside of DEBUG DIGEST.
# Returns the next cursor and five sums.
_SCRIPT = """
local function text(v)
  local kind = type(v)
  if kind == 'string' then return #v .. ':' .. v end
  if kind == 'table' then
    if v.ok then return '+' .. v.ok end
    local parts = {}
    for i = 1, #v do parts[i] = text(v[i]) end
    return '[' .. table.concat(parts, ',') .. ']'
  end
  return tostring(v)
end
local function pairs_sorted(flat)
  local parts = {}
  for i = 1, #flat, 2 do parts[#parts + 1] = text(flat[i]) .. '=' .. text(flat[i + 1]) end
  table.sort(parts)
  return table.concat(parts, ',')
end
local function stream(key)
  local kept, full = {}, redis.call('XINFO', 'STREAM', key, 'FULL', 'COUNT', 0)
  for i = 1, #full, 2 do
    if full[i] ~= 'radix-tree-keys' and full[i] ~= 'radix-tree-nodes' and full[i] ~= 'entries' then
      kept[#kept + 1] = full[i]
      kept[#kept + 1] = full[i + 1]
    end
  end
  return text(redis.call('XRANGE', key, '-', '+')) .. text(kept)
end
local function fields(key)
  local names = redis.call('HKEYS', key)
  if #names == 0 or #names > 4000 then return '' end
  local times = redis.pcall('HPEXPIRETIME', key, 'FIELDS', #names, unpack(names))
  if type(times) ~= 'table' or times.err then return '' end
  local flat, any = {}, false
  for i = 1, #names do
    flat[#flat + 1] = names[i]
    flat[#flat + 1] = times[i]
    any = any or times[i] >= 0
  end
  return any and pairs_sorted(flat) or ''
end
local function value(key, kind)
  if kind == 'string' then return text(redis.call('GET', key)) end
  if kind == 'list' then return text(redis.call('LRANGE', key, 0, -1)) end
  if kind == 'hash' then return pairs_sorted(redis.call('HGETALL', key)) .. fields(key) end
  if kind == 'zset' then return pairs_sorted(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) end
  if kind == 'stream' then return stream(key) end
  if kind == 'set' then
    local members = redis.call('SMEMBERS', key)
    table.sort(members)
    return text(members)
  end
  return text(redis.call('DUMP', key))
end
local sums = {0, 0, 0, 0, 0}
local limit, all = tonumber(ARGV[2]), ARGV[3] == 'all'
local page = redis.call('SCAN', ARGV[1], 'COUNT', 500)
for _, key in ipairs(page[2]) do
  local kind = redis.call('TYPE', key).ok
  local at = redis.pcall('PEXPIRETIME', key)
  if type(at) ~= 'number' then at = redis.call('PTTL', key) < 0 and -1 or 0 end
  local seen = ''
  if at < 0 or at > limit then
    if all then seen = value(key, kind)
    elseif kind == 'stream' then seen = stream(key)
    elseif kind == 'hash' then seen = fields(key) end
    if all or at >= 0 or seen ~= '' then
      local hash = redis.sha1hex(text(key) .. kind .. string.format('%.0f', at) .. seen)
      for i = 1, 5 do sums[i] = (sums[i] + tonumber(string.sub(hash, i * 8 - 7, i * 8), 16)) % 4294967296 end
    end
  end
end
local found = {page[1]}
for i = 1, 5 do found[i + 1] = string.format('%.0f', sums[i]) end
return found
"""


def fingerprint(server: Server, databases: t.Iterable[str], limit: float, everything: bool) -> dict[str, str]:
    """A sum for each database that changes with any key in it.

    Args:
        limit: seconds since 1970; keys that expire before are left out.
        everything: whether to include the data that DEBUG DIGEST covers.
    """
    found = {}
    for database in sorted(databases):
        sums = [0] * 5
        cursor = "0"
        while True:
            words = [
                "-n",
                database,
                "EVAL",
                _SCRIPT,
                "0",
                cursor,
                f"{limit * 1000:.0f}",
                "all" if everything else "rest",
            ]
            cursor, *parts = server.ask(*words).split("\n")
            sums = [(one + int(part)) % 2**32 for one, part in zip(sums, parts)]
            if cursor == "0":
                break
        found[database] = "".join(f"{one:08x}" for one in sums)
    return found


def functions(server: Server) -> dict[str, str] | None:
    """The digest of the code of each library of functions; None when the server does not permit the query."""
    try:
        text = server.ask("FUNCTION", "LIST", "WITHCODE")
    except SourceError:
        return None
    found = {}
    for block in re.split(r"^library_name\n", text, flags=re.MULTILINE)[1:]:
        name = block.partition("\n")[0]
        code = block.partition("\nlibrary_code\n")[2]
        found[name] = hashlib.sha256(code.strip().encode("utf-8", "surrogateescape")).hexdigest()
    return found


_PLAIN = re.compile(r"user default on (nopass|#[0-9a-f]{64})( sanitize-payload)? ~\* (&\* )?\+@all")


def users(server: Server) -> list[str]:
    """Configured ACL users, and ``default`` when it was changed. Empty when the query is not permitted."""
    try:
        lines = server.ask("ACL", "LIST").splitlines()
    except SourceError:
        return []
    return [line.split(" ")[1] for line in lines if line.startswith("user ") and not _PLAIN.fullmatch(line)]


def modules(server: Server) -> list[list[str]]:
    """Path and arguments of each loaded module, as far as the server reports them (from Redis 7 on)."""
    try:
        lines = server.ask("MODULE", "LIST").splitlines()
    except SourceError:
        return []
    found: list[list[str]] = []
    for number, line in enumerate(lines):
        if line == "path" and number + 1 < len(lines) and lines[number + 1].startswith("/"):
            found.append([lines[number + 1]])
    return found
