# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Other users: whose folder is used, and what happens where there is none."""

from __future__ import annotations

import pwd
import shutil
from pathlib import Path

from conftest import OTHER_USER, USER, run, toy


def test_root_keeps_its_programs_in_its_own_home(bench):
    home = Path(pwd.getpwnam("root").pw_dir)
    before = set(bench.kept(home))
    outcome = bench.play([toy("root", _become=True), toy("again", _become=True)])
    try:
        assert outcome.one("root")["uid"] == 0 and outcome.one("root")["argv"][-1] == "-"
        assert bench.kept() == []
    finally:
        for path in set(bench.kept(home)) - before:
            path.unlink()


def test_a_user_without_rights_and_without_acls(bench):
    other = pwd.getpwnam(OTHER_USER)
    task = toy("other", _become=True, _become_user=OTHER_USER)
    cold, warm = bench.play([task]), bench.play([task])
    assert cold.one("other")["uid"] == warm.one("other")["uid"] == other.pw_uid
    assert [path.stat().st_uid for path in bench.kept(Path(other.pw_dir))] == [other.pw_uid]
    assert warm.calls == 1
    shutil.rmtree(Path(other.pw_dir) / ".ansible")


def test_a_user_without_a_home(bench):
    before = set(Path("/tmp").glob("homelab.k3s.*"))
    outcome = bench.play([toy("nobody", _become=True, _become_user="nobody", token="s3cr3t")])
    assert outcome.one("nobody")["uid"] == pwd.getpwnam("nobody").pw_uid
    assert outcome.one("nobody")["argv"][-1] == "-"
    assert set(Path("/tmp").glob("homelab.k3s.*")) == before


def test_sudo_with_a_password(bench, users):
    rule = users.read_text()
    password = "opensesame-of-the-tests"
    task = toy("asked", _become=True, _become_user=OTHER_USER)
    run("chpasswd", input=f"{USER}:{password}\n")
    try:
        users.write_text(f"{USER} ALL=(ALL) ALL\n")
        variables = {"ansible_become_password": password}
        right = bench.play([task], variables=variables, arguments=["-vvvv"])
        assert right.one("asked")["argv"][-1] == "-" and password not in right.output
        wrong = bench.play([task], variables={"ansible_become_password": "wrong"})
        assert wrong.status == 2 and "password" in wrong.one("asked")["msg"]
    finally:
        users.write_text(rule)
        run("usermod", "-p", "*", USER)
        shutil.rmtree(Path(pwd.getpwnam(OTHER_USER).pw_dir) / ".ansible", ignore_errors=True)


def test_a_sudo_that_wants_a_terminal(bench, users):
    rule = users.read_text()
    try:
        users.write_text(f"Defaults:{USER} requiretty\n{rule}")
        outcome = bench.play([toy("terminal", _become=True)])
        assert outcome.one("terminal").get("uid") == 0, outcome.one("terminal")
        assert outcome.one("terminal")["argv"][-1] != "-"
    finally:
        users.write_text(rule)
