"""The faults of `faults.yaml`, and the page that is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml
from conftest import ROOT
from crash.cases import digest

PAGE = ROOT / "docs/faults.md"
OUTCOMES = {
    "refused": "refused, nothing is changed",
    "stopped": "stops; after the repair the same command finishes",
    "finished": "finishes",
}


@dataclass(frozen=True)
class Fault:
    title: str
    what: str
    outcome: str
    says: list[str]
    fault: list[list[str]] = field(default_factory=list)
    undo: list[list[str]] = field(default_factory=list)
    before: str = ""
    playbook: str = "upgrade-k3s"
    # So many pods of a Deployment are there.
    pods: int = 0
    # What the operator has set for this run.
    variables: dict[str, str | int] = field(default_factory=dict)
    # For so many seconds the control node sleeps, before the task.
    suspended: int = 0
    # More than one: they have etcd, and there is one worker.
    servers: int = 1
    left: list[str] = field(default_factory=list)
    always: bool = False
    # A wait that only ends by its limit.
    slow: bool = False

    def __post_init__(self) -> None:
        assert self.outcome in OUTCOMES, self.outcome

    @property
    def row(self) -> str:
        when = f"before “{self.before}”" if self.before else "from the start"
        options = "".join(f", `{name}: {value}`" for name, value in self.variables.items())
        cordoned = f"; {', '.join(self.left)} stays cordoned" if self.left else ""
        says = ", ".join(f"`{words}`" for words in self.says)
        return f"| {self.what} | `{self.playbook}`{options} | {when} | {OUTCOMES[self.outcome]}{cordoned} | {says} |"


def read() -> list[Fault]:
    groups = yaml.safe_load((Path(__file__).parent / "faults.yaml").read_text())
    return [Fault(title=group["title"], **row) for group in groups for row in group["faults"]]


def sample(seed: str, faults: list[Fault], refused: int, others: int) -> list[Fault]:
    """Beside those of each commit others by seed: of those that a run refuses, and of those that it meets half-way."""
    mixed = sorted((fault for fault in faults if not fault.slow and not fault.always), key=lambda fault: digest(seed, fault.what))
    early = [fault for fault in mixed if fault.outcome == "refused"][:refused]
    late = [fault for fault in mixed if fault.outcome != "refused"][:others]
    return [fault for fault in faults if fault.always or fault in early + late]


def select(word: str, faults: list[Fault]) -> list[Fault]:
    chosen = [fault for fault in faults if word == "all" or word in f"{fault.title}: {fault.what}"]
    assert chosen, f"no fault has {word} in its name"
    return chosen


def page(faults: list[Fault]) -> str:
    lines = [
        "# What breaks, and what a playbook does then",
        "",
        "<!-- Made by `make faults`; edit tests/lab/faults.yaml instead. -->",
        "",
        "Each row is a test (`tests/lab/test_faults.py`): the fault is made in the lab, with one controller and two workers, the playbook is run,",
        "and its words, the cordons, annotations, the lock and the installations are compared with what the row promises. `make faults` runs all",
        "rows; the tests of each commit run a part of them, which its hash chooses.",
    ]
    for title in dict.fromkeys(fault.title for fault in faults):
        rows = [fault.row for fault in faults if fault.title == title]
        lines += ["", f"## {title}", "", "| fault | playbook | when | outcome | it says |", "|---|---|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(read()))
