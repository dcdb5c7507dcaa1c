"""docs/crashes.md: what was crashed, and how often the next run has finished the work."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from crash.cases import TASK, Case, Undisturbed
from crash.collection import ROOT

# One file a scenario, so that parts that are not run again keep what they have.
KEPT = ROOT / ".cache/crash"
PAGE = ROOT / "docs/crashes.md"
VERDICTS = ("passed", "FAILED", "not reached")

HEAD = """# Crashes

Written by `make crash-all`. A case crashes a playbook once, in the lab, and runs the same command again, twice: the second run must
succeed, the third must change nothing. Compared with a run without a crash are then files (type, mode, owner; the content of settings),
processes and nodes, on the Proxmox host and in the containers. No cordon, annotation or lock of ours may be left, no file that others
can read may have a part of a token or of a private key, and of several servers two are never down at once.

The cases follow from a run without a crash: every point of every module, which is a command, or a file that is written or removed, with
each kind; and every task.

| kind | what ends when |
|---|---|
| `before` | the module, before the point; the playbook runs its recovery |
| `during` | module and control process, in the middle of the command, which goes on |
| `during-all` | the module with all that it has started, in the middle of the command; the playbook runs its recovery |
| `after` | module and control process, after the point |
| task | the control process, before the task |

A point is not reached where a wait has looked less often than in the run without a crash.
"""


class Results:
    def __init__(self, scenario: str, seen: Undisturbed) -> None:
        self.scenario, self.seen = scenario, seen
        self.verdicts: dict[str, Counter[str]] = {name: Counter() for name in seen.counts()}
        self.failed: list[str] = []

    def add(self, case: Case, verdict: str) -> None:
        self.verdicts[case.module][verdict] += 1
        if verdict == "FAILED":
            self.failed.append(str(case))

    def keep(self) -> None:
        kinds = Counter(case.module for case in self.seen.cases())
        rows = [[name, kinds[name], *(verdicts[verdict] for verdict in VERDICTS)] for name, verdicts in self.verdicts.items()]
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / f"{self.scenario}.json").write_text(json.dumps({"rows": rows, "failed": self.failed}))


def write() -> None:
    parts = [HEAD]
    for file in sorted(KEPT.glob("*.json")):
        kept = json.loads(file.read_text())
        parts.append(f"\n## {file.stem}\n\n| module | cases | run | passed | failed | not reached |\n|---|---|---|---|---|---|\n")
        total = ["**all**", *(sum(row[column] for row in kept["rows"]) for column in range(1, 5))]
        for name, cases, passed, failed, unreached in [*kept["rows"], total]:
            shown = "tasks" if name == TASK else name
            parts.append(f"| {shown} | {cases} | {passed + failed + unreached} | {passed} | {failed} | {unreached} |\n")
        parts += [f"\nFailed: {case}\n" for case in kept["failed"]]
    PAGE.write_text("".join(parts))
