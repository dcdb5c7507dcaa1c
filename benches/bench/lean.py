# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a program and writes what it used: lean.py USAGE PROGRAM ARGUMENT…

In a process of its own, and with hardly an import: Linux counts the memory of whoever starts a program as the program's.
"""

import os
import sys


def main() -> None:
    usage_file, program, *arguments = sys.argv[1:]
    started = os.posix_spawn(program, [program, *arguments], os.environ)
    # It has ended, and can still be asked.
    os.waitid(os.P_PID, started, os.WEXITED | os.WNOWAIT)
    with open(f"/proc/{started}/stat", encoding="utf-8") as stat:
        # Of the programs that it has started, in hundredths of a second.
        ticks = sum(map(int, stat.read().rsplit(")", 1)[1].split()[13:15]))
    _pid, _status, usage = os.wait4(started, 0)
    own = usage.ru_utime + usage.ru_stime - ticks / os.sysconf("SC_CLK_TCK")
    with open(usage_file, "w", encoding="utf-8") as written:
        written.write(f"{own} {usage.ru_maxrss / 1024}\n")


if __name__ == "__main__":
    main()
