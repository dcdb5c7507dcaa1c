# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""(d) The upgrade of a cluster: ours, also with several workers at once, and benches/naive.yml, in turn."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench import plays
from bench.lab import ROOT, Lab, Labs
from bench.plays import Run
from bench.rows import Report, Row

TITLE = "The upgrade of a cluster"
ABOUT = """The playbook with all its checks, beside [a play](../benches/naive.yml) of command tasks: status, drain, install script, a wait for
the version, uncordon. That play checks nothing, and leaves a node cordoned where it fails."""
OURS = "k3s/playbook-upgrade-k3s.yaml"
AT_ONCE = "k3s_upgrade_workers_at_once"
# A larger cluster is not measured where a run of the one before took longer, in seconds.
LONGEST = 360
# A cluster gets no further round after as many seconds: what is noise in a short run is little in a long one.
ENOUGH = 900


@dataclass(frozen=True)
class Way:
    name: str
    book: str
    variables: dict = field(default_factory=dict, hash=False)
    # Of its seconds, as a share of the naive play's.
    target: float | None = None


NAIVE = Way("the naive play", "benches/naive.yml")
# The servers of 3+5 go one at a time, and so do the workers of 1+2: there the checks have to be paid for.
ONE_BY_ONE = Way("ours", OURS, target=1.2)
# More than one at once is refused where budgets are not respected.
SEVERAL = tuple(
    Way(f"ours, {word} workers at once", OURS, {AT_ONCE: word, "k3s_drain_pdb": "respect"}, 0.5) for word in ("3", "25%")
)
SIZES = ((1, 2, (ONE_BY_ONE,)), (1, 10, (ONE_BY_ONE, *SEVERAL)), (3, 5, (ONE_BY_ONE,)))


def measure(report: Report, labs: Labs, rounds: int) -> None:
    longest = 0.0
    for controllers, workers, methods in SIZES:
        size = f"an upgrade of {controllers} + {workers} nodes"
        if longest > LONGEST:
            report.note(f"{size}: that of fewer nodes took {longest:.0f} s")
        elif (lab := labs.get(controllers, workers)) is None:
            report.note(f"{size}: the lab that is up has another size")
        else:
            longest = in_turn(report, lab, size, (*available(report, size, methods), NAIVE), rounds)


def available(report: Report, size: str, methods: tuple[Way, ...]) -> tuple[Way, ...]:
    if AT_ONCE in (ROOT / "roles/k3s/defaults/main.yaml").read_text():
        return methods
    for way in methods:
        if AT_ONCE in way.variables:
            report.note(f"{size}, {way.name}: there is no variable {AT_ONCE} yet")
    return tuple(way for way in methods if AT_ONCE not in way.variables)


def in_turn(report: Report, lab: Lab, size: str, methods: tuple[Way, ...], rounds: int) -> float:
    """So that a busy minute hits all; the seconds of the longest run."""
    runs: dict[Way, list[Run]] = {way: [] for way in methods}
    versions = targets(lab)
    started = time.monotonic()
    for number in range(rounds):
        if number and time.monotonic() - started > ENOUGH:
            report.note(f"{size}: round {number + 1} and later ones, after {ENOUGH // 60} minutes of upgrades")
            break
        for way in methods:
            runs[way].append(upgrade(lab, way, next(versions)))
    rows = {way: report.add(row(size, way, "s", [run.seconds for run in runs[way]])) for way in methods}
    for way in methods:
        if way is not NAIVE:
            report.compare(rows[way], [(rows[NAIVE], way.target)])
    for what, unit, read in FIGURES:
        for way in methods:
            report.add(row(f"{size}: {what}", way, unit, [read(run) for run in runs[way]]))
    return max(row.high for row in rows.values())


def row(group: str, way: Way, unit: str, samples: list[float]) -> Row:
    return Row(group, way.name, unit, samples, ours=way is not NAIVE)


FIGURES = (
    ("processor time of the control node", "s", lambda run: run.processor),
    ("tasks", "", lambda run: run.tasks),
    ("calls of ssh", "", lambda run: run.ssh_calls),
    ("connections", "", lambda run: run.connections),
)


def targets(lab: Lab) -> Iterator[str]:
    """Versions that the cluster does not run yet; back and forth between two where a real k3s has no more."""
    offer = json.loads(lab("release", "list"))
    stable = offer["channels"]["stable"]
    if os.environ.get("LAB_K3S"):
        both = [stable, offer["starts"]]
        yield from itertools.cycle(reversed(both) if lab.versions() == {stable} else both)
    minor, patch = stable.removesuffix("+k3s1").rsplit(".", 1)
    for number in itertools.count(int(patch) + 1):
        version = f"{minor}.{number}+k3s1"
        lab("release", "add", version)
        yield version


def upgrade(lab: Lab, way: Way, version: str) -> Run:
    before = lab.versions()
    if version in before:
        raise RuntimeError(f"{way.name}: the cluster runs {version} already")
    run = plays.play(lab, way.book, {"k3s_target_version": version, "k3s_allow_downgrade": True, **way.variables})
    if (after := lab.versions()) != {version}:
        raise RuntimeError(f"{way.name}: after the upgrade to {version} the cluster runs {after}")
    return run
