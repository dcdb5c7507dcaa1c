# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shell scripts that keep and run a program on a host, and what their answers mean.

Plain POSIX sh, for whatever /bin/sh the host has. Each is one round trip. A script answers with lines that
begin with SIGN; between `run` and `end` stands what the program itself wrote. So it is always known whether
the program was started: only what never ran may be tried again.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.homelab.k3s.plugins.plugin_utils.binaries import PROGRAM, Binary

SIGN = "@homelab.k3s"
UNUSED_DAYS = 30

# `refuse` reads the rest of stdin: a writer that meets a closed pipe would take the connection for broken.
TALK = rf"""
say() {{ printf '\n{SIGN} %s\n' "$1"; }}
refuse() {{ cat >/dev/null; say "$1"; exit 0; }}
sha() {{
  set -- $(sha256sum "$1" 2>/dev/null || shasum -a 256 "$1" 2>/dev/null || sha256 -q "$1" 2>/dev/null)
  printf %s "$1"
}}
"""

# The folder is below the home that the user database names: `$HOME` is whatever the caller says, under sudo too.
PLACE = r"""
user=$(id -un) uid=$(id -u)
case $user in '' | -* | *[!A-Za-z0-9._-]*) refuse "odd: the user name '$user'" ;; esac
eval "home=~$user"
case $home in
  */../* | */./* | *//* | *[!A-Za-z0-9._/+@-]*) refuse "odd: the home folder '$home' of $user" ;;
  /?*) ;;
  *) refuse "odd: $user has no home folder" ;;
esac
[ -d "$home" ] || refuse "odd: the home folder $home of $user does not exist"
folder=$home/.ansible/homelab.k3s
file=$folder/PROGRAM-$sum
checked=$folder/.checked-$sum
""".replace("PROGRAM", PROGRAM)

# Answers `absent` or `present`; whatever makes the folder unfit is said and ends the script.
INSPECT = r"""
inspect() {
  set -- /
  at=
  old=$IFS
  IFS=/
  for part in $folder; do
    [ -z "$part" ] || { at=$at/$part; set -- "$@" "$at"; }
  done
  IFS=$old
  found=absent odd=
  while read -r mode links owner rest; do
    case $rest in
      '') continue ;;
      *" $file" | *" $file -> "*)
        # What is not ours is replaced by renaming, which a folder cannot be.
        case $mode in
          d*) odd="$file is a folder" ;;
          -r-x------*) [ "$owner" != "$uid" ] || found=present ;;
        esac
        continue ;;
    esac
    case $mode in
      d????-??-*) [ "$owner" = 0 ] || [ "$owner" = "$uid" ] || odd="user $owner owns a folder on the way: $mode $rest" ;;
      d*) odd="others can write a folder on the way: $mode $rest" ;;
      *) odd="not a folder on the way: $mode $rest" ;;
    esac
  done <<LISTING
$(LC_ALL=C ls -ldn "$@" "$file" 2>/dev/null)
LISTING
  [ -z "$odd" ] || refuse "odd: $odd"
}
"""

VERIFY = r"""
verify() { [ "$(sha "$file")" = "$sum" ] || { rm -f "$file" "$checked"; refuse missing; }; }
"""

# A hash of the program takes longer than most modules do. What `stat` says of the file, its last change by whatever way among it, is
# written down beside it once it was verified, where only those can write who can write the program itself.
VERIFY_CHANGED = r"""
now=$(stat -c '%i %s %y %z' "$file" 2>/dev/null)
before=
[ ! -f "$checked" ] || read -r before <"$checked"
if [ -z "$now" ] || [ "$now" != "$before" ]; then
  verify
  [ -z "$now" ] || (umask 077 && printf '%s\n' "$now" >"$checked") 2>/dev/null
fi
"""

# By the setting `verify`.
VERIFICATIONS = {"changed": VERIFY_CHANGED, "always": "verify", "never": ""}

STORE = r"""
umask 077
inspect
for made in "$home/.ansible" "$folder"; do
  [ -d "$made" ] || mkdir "$made" 2>/dev/null || [ -d "$made" ] || refuse "odd: cannot make the folder $made"
done
inspect
new=$(mktemp "$folder/.new.XXXXXX" 2>/dev/null) || refuse "odd: cannot write in $folder"
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$new" 2>/dev/null || refuse "odd: no room in $folder"
[ "$(sha "$new")" = "$sum" ] || refuse "odd: what arrived in $folder is not what was sent"
chmod 500 "$new" && { sync "$new" 2>/dev/null || sync; } && mv -f "$new" "$file" && { sync "$folder" 2>/dev/null || sync; } ||
  refuse "odd: cannot keep $file"
find "$folder/." ! -name . -prune -type f -mtime +UNUSED_DAYS -exec rm -f {} +
say stored
""".replace("UNUSED_DAYS", str(UNUSED_DAYS))

STORE_FOR_ONCE = r"""
umask 077
folder=$(mktemp -d /tmp/homelab.k3s.XXXXXX 2>/dev/null || mktemp -d /var/tmp/homelab.k3s.XXXXXX) || refuse 'odd: no temporary folder'
cat >"$folder/PROGRAM" && [ "$(sha "$folder/PROGRAM")" = "$sum" ] && chmod 500 "$folder/PROGRAM" ||
  { rm -rf "$folder"; refuse 'odd: the temporary folder has no room'; }
say "stored $folder"
""".replace("PROGRAM", PROGRAM)


def run_kept(binaries: Sequence[Binary], module: str, environment: str, verify: str) -> str:
    """Runs a module of the program kept for this kind of host; stdin is its arguments."""
    checks = [TALK, _choose(binaries), PLACE, INSPECT, "inspect", "[ $found = present ] || refuse missing", VERIFY]
    return _script(*checks, VERIFICATIONS[verify], _run(environment, '"$file"', module))


def check_kept(binary: Binary) -> str:
    """Says whether the kept program is still what it was when it came."""
    return _script(TALK, _known(binary), PLACE, INSPECT, "inspect", "[ $found = present ] || refuse missing", VERIFY, "verify", "refuse intact")


def store(binary: Binary) -> str:
    """Keeps the program that comes by stdin: complete and on the disk, or not at all."""
    return _script(TALK, _known(binary), PLACE, INSPECT, STORE)


def store_for_once(binary: Binary) -> str:
    """Puts the program that comes by stdin into a fresh private folder, for a user that has no home to keep it in."""
    return _script(TALK, _known(binary), STORE_FOR_ONCE)


def run_once(folder: str, module: str, environment: str) -> str:
    """Runs a module of the program of `store_for_once` and removes it."""
    folder = shlex.quote(folder)
    return _script(TALK, f"trap 'rm -rf {folder}' EXIT", "trap 'exit 1' HUP INT TERM", _run(environment, f"{folder}/{PROGRAM}", module))


def _choose(binaries: Sequence[Binary]) -> str:
    arms = [
        f"{'|'.join(map(shlex.quote, binary.unames))}) sum={binary.sha256} ;;" for binary in binaries
    ]
    return "\n".join([
        "kind=$(uname -s -m)",
        "case $kind in",
        *arms,
        '*) refuse "unbuilt $kind" ;;',
        "esac",
    ])


def _known(binary: Binary) -> str:
    return f"sum={binary.sha256}"


def _run(environment: str, program: str, module: str) -> str:
    return f'say run\n{environment} {program} {module} -\nsay "end $?"'


def _script(*parts: str) -> str:
    return "\n".join(part.strip() for part in parts if part)


@dataclass(frozen=True)
class Answer:
    """What a script said."""

    word: str = ""  # empty: it never came to speak
    detail: str = ""
    output: str = ""  # what the program wrote, if it was started
    status: int | None = None  # how it ended; None: nobody saw it end

    @property
    def was_started(self) -> bool:
        return self.word == "run"

    @property
    def could_not_start(self) -> bool:
        """The shell's own statuses for a file that does not execute; a program that answered has ended otherwise."""
        return self.was_started and self.status in (126, 127) and not self.output.strip()


def understood(stdout: str) -> Answer:
    """The script's last word. A login banner before it does no harm."""
    begin = f"\n{SIGN} run\n"
    head, started, rest = f"\n{stdout}".partition(begin)
    if started:
        output, ended, status = rest.rpartition(f"\n{SIGN} end ")
        if ended and status.strip().isdigit():
            return Answer("run", output=output, status=int(status))
        return Answer("run", output=rest)
    spoken = re.findall(rf"^{re.escape(SIGN)} (\w+):? ?(.*)$", head, flags=re.MULTILINE)
    return Answer(*spoken[-1]) if spoken else Answer()
