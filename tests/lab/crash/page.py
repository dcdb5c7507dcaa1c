"""docs/crashes.md: what was crashed, and how often the next run has finished the work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from crash.cases import TASK, Case, Undisturbed
from crash.collection import ROOT
from crash.scenarios import SCENARIOS

# One file a scenario: what is not run again keeps what it has.
KEPT = ROOT / ".cache/crash"
PAGE = ROOT / "docs/crashes.md"
VERDICTS = ("passed", "FAILED", "not reached")

HEAD = """# Crashes

Written by `make crash-all`. A case crashes a playbook once, in the lab, and runs the same command twice more: the second run must
succeed, and the third must change nothing. The end state is compared with that of a run without a crash: files (type, mode, owner; the
content of settings), processes, Nodes and the names of the objects in the datastore, on the Proxmox host and in the containers. No cordon,
annotation or lock of ours may be left, no file that others can read may have a part of a token or of a private key, and two servers must
never be down at once. Where only some of the cases were run, a seed chose them, in turns from each module.

A run without a crash defines the cases: every task, and every point of every module with each kind of crash. A point is a command, or a file
that is written or removed.

| kind | what is killed, and when |
|---|---|
| `before` | the module, before the point; the playbook runs its recovery |
| `during` | module and control process, in the middle of the command, which continues |
| `during-all` | the module with all that it has started, in the middle of the command; the playbook runs its recovery |
| `after` | module and control process, after the point |
| task | the control process, before the task |

A point is not reached if a wait has polled less often than in the run without a crash.
"""


class Results:
    """Those of a scenario. A case that is run again gets its new result; the others keep what they have."""

    def __init__(self, scenario: str, seen: Undisturbed, commit: str) -> None:
        self.file, self.commit = KEPT / f"{scenario}.json", commit
        self.cases = [case.key for case in seen.cases()]

    def add(self, case: Case, verdict: str) -> None:
        kept = read(self.file)["results"] if self.file.exists() else {}
        kept[case.key] = {"case": str(case), "verdict": verdict, "commit": self.commit}
        # An earlier version may have had more points; this one has as many as its longest run, as a wait looks as often as it must.
        results = {key: result for key, result in kept.items() if key in self.cases or result["commit"] == self.commit}
        KEPT.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({"cases": [*dict.fromkeys([*self.cases, *results])], "results": results}))


def read(file: Path) -> dict:
    return json.loads(file.read_text())


def module(key: str) -> str:
    return key.split(" ")[0]


def write() -> None:
    parts = [HEAD]
    for file in sorted(KEPT.glob("*.json")):
        kept = read(file)
        parts.append(f"\n## {file.stem}\n\n{commits(kept['results'])}\n\n| module | cases | run | passed | failed | not reached |\n|---|---|---|---|---|---|\n")
        parts += [f"| {' | '.join(map(str, row))} |\n" for row in rows(kept)]
        parts += [f"\nFailed: {result['case']}\n" for result in kept["results"].values() if result["verdict"] == "FAILED"]
    never = [f"`{name}`" for name in SCENARIOS if not (KEPT / f"{name}.json").exists()]
    parts += [f"\nNot run yet: {', '.join(never)}.\n"] if never else []
    PAGE.write_text("".join(parts))


def rows(kept: dict) -> Iterator[list[object]]:
    cases = Counter(module(key) for key in kept["cases"])
    verdicts = Counter((module(key), result["verdict"]) for key, result in kept["results"].items())
    lines = [(name, count, [verdicts[name, verdict] for verdict in VERDICTS]) for name, count in cases.items()]
    for name, count, found in sorted(lines, key=lambda line: (line[0] == TASK, line[0])):
        yield ["tasks" if name == TASK else name, count, sum(found), *found]
    columns = [sum(found[column] for _, _, found in lines) for column in range(len(VERDICTS))]
    yield ["**all**", cases.total(), sum(columns), *columns]


def commits(results: dict) -> str:
    """Of which versions the results are."""
    counts = Counter(result["commit"] for result in results.values())
    return f"Results of commit {', '.join(f'`{commit}` ({count})' for commit, count in sorted(counts.items()))}."
