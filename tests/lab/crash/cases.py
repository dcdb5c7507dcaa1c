"""The cases that follow from an undisturbed run: every point of every module in every way to crash, and every task."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

# `during` leaves the command running that the module had started, and kills the control process too, as `after` does. Where the
# control process lives, the playbook's own recovery follows.
KINDS = ("before", "during", "during-all", "after")
CONTROL_DIES = ("during", "after")
TASK = "task"


@dataclass(frozen=True)
class Case:
    module: str  # or TASK
    number: int
    kind: str
    what: str = ""  # the command, or the task's name
    took: int = 0  # milliseconds, in the undisturbed run

    @property
    def key(self) -> str:
        """What names it, in `make crash CASE=…` too."""
        return f"{self.module} {self.number} {self.kind}"

    @property
    def order(self) -> str:
        """As the module reads it."""
        delay = f" {self.took // 2}" if self.kind.startswith("during") else ""
        return f"{self.key}{delay}\n"

    @property
    def environment(self) -> dict[str, str]:
        """As the callback plugin reads it."""
        if self.module == TASK:
            return {"CRASH_TASK": str(self.number)}
        return {"CRASH_CONTROL": "yes"} if self.kind in CONTROL_DIES else {}

    def __str__(self) -> str:
        return f"{self.key} ({self.what})"


@dataclass(frozen=True)
class Undisturbed:
    """What a run without a crash has shown."""

    points: list[tuple[str, int, str]]
    took: dict[tuple[str, int], int]
    tasks: list[str]

    def cases(self) -> list[Case]:
        of_modules = [
            Case(module, number, kind, what, self.took.get((module, number), 0))
            for module, number, what in self.points
            for kind in KINDS
        ]
        of_tasks = [Case(TASK, number, "before", name) for number, name in enumerate(self.tasks, 1)]
        return of_modules + of_tasks

    def counts(self) -> dict[str, int]:
        """The points of each module, and the tasks."""
        return dict(sorted(Counter(module for module, _, _ in self.points).items())) | {TASK: len(self.tasks)}


def read_points(text: str) -> list[tuple[str, int, str]]:
    lines = (line.split(" ", 2) for line in text.splitlines())
    return [(module, int(number), what) for module, number, what in lines]


def read_took(text: str) -> dict[tuple[str, int], int]:
    lines = (line.split() for line in text.splitlines())
    return {(module, int(number)): int(took) for module, number, took in lines}


def in_order_of(seed: str, cases: list[Case]) -> list[Case]:
    """A random order that is the same for the same seed, also where a run has a point more or less: a wait looks as often as it must.

    A module takes turns with the others, however many points it has.
    """
    turn: Counter[str] = Counter()
    keyed = []
    for case in sorted(cases, key=lambda case: digest(seed, case.key)):
        turn[case.module] += 1
        keyed.append((turn[case.module], digest(seed, case.module), case))
    return [case for _, _, case in sorted(keyed, key=lambda entry: entry[:2])]


def digest(seed: str, text: str) -> str:
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()
