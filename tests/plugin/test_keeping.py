# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a program reaches a host, is kept there, and what is never run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import ALIEN, ELSEWHERE, KEPT, OTHER_USER, USER, compile_toy, run, toy, twin


def way(result: dict) -> str:
    """Which way this task went: a kept program reads its arguments from stdin, Ansible's own way names a file."""
    return "kept" if result["argv"][-1] == "-" else "transferred"


def test_a_task_is_one_round_trip_and_so_is_a_loop_item(bench):
    bench.keep()
    warm = bench.play([toy("first"), toy("second"), toy("loop", count="{{ item }}", _loop=[1, 2, 3])])
    assert warm.calls == 5
    assert [json.loads(item["received"])["count"] for item in warm.items("loop")] == [1, 2, 3]


def test_a_cold_or_wiped_host_gets_the_program_once(bench):
    cold = bench.play([toy("cold"), toy("warm")])
    assert cold.status == 0
    [kept] = bench.kept()
    assert kept.name == "homelab-k3s-" + hashlib.sha256(bench.program.read_bytes()).hexdigest()
    assert kept.stat().st_mode & 0o7777 == 0o500
    assert kept.parent.stat().st_mode & 0o7777 == 0o700
    # Ask, detect the architecture, send, run; then one more for the second task.
    assert cold.calls == 5


def test_another_module_on_the_same_host_sends_nothing(bench):
    outcome = bench.play([toy("first"), twin("second"), toy("third")])
    assert [outcome.one(name)["module"] for name in ("first", "second", "third")] == ["toy", "twin", "toy"]
    assert len(bench.kept()) == 1
    # Ask, detect the architecture, send, run; then one for each further task.
    assert outcome.calls == 6


def test_every_way_runs_the_module_that_was_asked_for(bench):
    outcome = bench.play([
        twin("kept"),
        twin("transferred", _vars={"homelab_k3s_keep": False}),
        twin("async", _async=30, _poll=1),
        twin("once", _become=True, _become_user="nobody"),
    ])
    names = ("kept", "transferred", "async", "once")
    assert [outcome.one(name)["module"] for name in names] == ["twin"] * 4
    assert [way(outcome.one(name)) for name in names] == ["kept", "transferred", "transferred", "kept"]


def test_programs_that_nobody_has_stored_for_a_month_go(bench):
    kept = bench.keep()
    kept.unlink()
    # Of an edition that had a program for each module, and one that another control node has just sent.
    [old, new] = [kept.parent / name for name in (f"toy-{'0' * 64}", f"homelab-k3s-{'1' * 64}")]
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    bench.play([toy("cold")])
    assert bench.kept() == sorted([kept, new])


def test_a_new_edition_takes_the_place_of_the_old_and_the_old_goes_with_age(bench, tmp_path):
    bench.play([toy("old")])
    [old] = bench.kept()
    first = bench.program.read_bytes()
    try:
        compile_toy(bench.program, "second")
        assert bench.play([toy("new")]).one("new")["edition"] == "second"
        assert old in bench.kept() and len(bench.kept()) == 2
        os.utime(old, (0, 0))
        newest = next(path for path in bench.kept() if path != old)
        newest.unlink()
        bench.play([toy("new")])
        assert bench.kept() == [newest]
    finally:
        bench.program.write_bytes(first)


def test_a_program_with_changed_bytes_is_never_run(bench, tmp_path):
    kept = bench.keep()
    proof = bench.folder / "tampered-ran"
    kept.chmod(0o700)
    kept.write_text(f"#!/bin/sh\ntouch {proof}\necho '{{\"changed\": true}}'\n")
    kept.chmod(0o500)
    assert way(bench.play([toy("again")]).one("again")) == "kept"
    assert not proof.exists()
    assert kept.read_bytes() == bench.program.read_bytes()


def test_a_program_is_verified_again_only_where_its_file_has_changed(bench):
    kept = bench.keep()
    text = "#!/bin/sh\necho '{\"changed\": true, \"argv\": [\"other\"]}'\n"

    def replace() -> None:
        before = kept.stat()
        kept.chmod(0o700)
        kept.write_text(text + "#" * (before.st_size - len(text)))
        kept.chmod(0o500)
        os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))

    bench.play([toy("first")])
    [checked] = kept.parent.glob(".checked-*")
    assert checked.stat().st_mode & 0o7777 == 0o600
    # Of the same size and time, in the same inode.
    replace()
    assert way(bench.play([toy("again")]).one("again")) == "kept"
    assert kept.read_bytes() == bench.program.read_bytes()
    # Who can write the note beside it can write the program too.
    replace()
    checked.write_text(run("stat", "-c", "%i %s %y %z", kept).stdout)
    assert bench.play([toy("noted")]).one("noted")["argv"] == ["other"]
    always = bench.play([toy("always")], variables={"homelab_k3s_verify": "always"})
    assert way(always.one("always")) == "kept"
    # A note that was not written to its end counts for nothing.
    checked.write_text("")
    assert way(bench.play([toy("empty")]).one("empty")) == "kept"


def test_without_verification_a_broken_program_is_sent_again(bench):
    kept = bench.keep()
    for broken in (b"", b"\x7fELF", b"#!/bin/sh\nexit 0\n"):
        kept.chmod(0o700)
        kept.write_bytes(broken)
        kept.chmod(0o500)
        again = bench.play([toy("again")], variables={"homelab_k3s_verify": "never"})
        assert way(again.one("again")) == "kept", broken
        assert kept.read_bytes() == bench.program.read_bytes()


@pytest.mark.parametrize("mode", [0o700, 0o555, 0o400])
def test_a_program_of_another_mode_is_replaced(bench, mode):
    kept = bench.keep()
    kept.chmod(mode)
    assert way(bench.play([toy("again")]).one("again")) == "kept"
    assert kept.stat().st_mode & 0o7777 == 0o500


def test_a_link_in_the_place_of_the_program_is_replaced_not_followed(bench):
    kept = bench.keep()
    elsewhere = bench.home / "elsewhere"
    shutil.move(kept, elsewhere)
    kept.symlink_to(elsewhere)
    assert way(bench.play([toy("again")]).one("again")) == "kept"
    assert not kept.is_symlink()
    elsewhere.unlink()


def unfit_folders(home: Path):
    kept = home / KEPT
    yield "others can write the folder", lambda: kept.chmod(0o777)
    yield "a group can write a folder above", lambda: kept.parent.chmod(0o770)
    yield "others can write the home", lambda: home.chmod(0o777)
    yield "another user owns the folder", lambda: shutil.chown(kept, OTHER_USER)
    # A listing shows owner and group side by side.
    yield "another user owns the folder, of a group with our number", lambda: os.chown(kept, 12345, home.stat().st_uid)
    yield "another user owns the folder, of group 0", lambda: os.chown(kept, 12345, 0)
    yield "another user owns a folder above", lambda: shutil.chown(kept.parent, OTHER_USER)
    yield "a folder above is a link", lambda: (shutil.move(kept.parent, home / "moved"), kept.parent.symlink_to(home / "moved"))
    yield "the folder is a link", lambda: (shutil.move(kept, home / "moved"), kept.symlink_to(home / "moved"))
    yield "a folder has the program's name", lambda: [(path.unlink(), path.mkdir()) for path in list(kept.iterdir())]


def test_an_unfit_folder_is_not_used(bench):
    variables = {"ansible_remote_tmp": ELSEWHERE}
    for why, spoil in unfit_folders(bench.home):
        bench.keep()
        spoil()
        before = {path: path.stat().st_mtime_ns for path in bench.kept()}
        outcome = bench.play([toy("again")], variables=variables)
        assert way(outcome.one("again")) == "transferred", why
        assert "sent anew with each task" in outcome.output, why
        assert before == {path: path.stat().st_mtime_ns for path in bench.kept()}, why
        shutil.rmtree(bench.home / "moved", ignore_errors=True)
        (bench.home / ".ansible").is_symlink() and (bench.home / ".ansible").unlink()
        bench.home.chmod(0o700)


def test_a_home_that_is_not_there_is_not_made(bench):
    nowhere = bench.home.parent / "homelab-k3s-nowhere"
    database = Path("/etc/passwd").read_text()
    # usermod refuses while the user's ssh connection is still open.
    run("sed", "-i", f"/^{USER}:/s|{bench.home}|{nowhere}|", "/etc/passwd")
    try:
        outcome = bench.play([toy("homeless")], variables={"ansible_remote_tmp": ELSEWHERE})
        assert way(outcome.one("homeless")) == "transferred"
        assert not nowhere.exists()
    finally:
        Path("/etc/passwd").write_text(database)


def test_the_home_is_that_of_the_user_database_not_of_the_environment(bench, tmp_path):
    elsewhere = bench.home / "not-home"
    outcome = bench.play([toy("home", _environment={"HOME": str(elsewhere)})])
    assert outcome.one("home")["environment"]["HOME"] == str(elsewhere)
    assert bench.kept() and not elsewhere.exists()


def test_a_home_without_execution_falls_back(bench):
    run("mount", "-t", "tmpfs", "-o", f"noexec,mode=0700,uid={bench.home.stat().st_uid}", "tmpfs", bench.home)
    try:
        outcome = bench.play([toy("noexec")], variables={"ansible_remote_tmp": ELSEWHERE})
        assert way(outcome.one("noexec")) == "transferred"
    finally:
        run("umount", bench.home)


def test_a_full_disk_falls_back(bench):
    run("mount", "-t", "tmpfs", "-o", f"size=64k,mode=0700,uid={bench.home.stat().st_uid}", "tmpfs", bench.home)
    try:
        outcome = bench.play([toy("full")], variables={"ansible_remote_tmp": ELSEWHERE})
        assert way(outcome.one("full")) == "transferred"
        assert bench.kept() == []
    finally:
        run("umount", bench.home)


def test_settings_and_async_go_ansibles_own_way(bench):
    outcome = bench.play([
        toy("variable", _vars={"homelab_k3s_keep": False}),
        toy("templated", _vars={"mine": "no", "homelab_k3s_keep": "{{ mine }}"}),
        toy("async", _async=30, _poll=1),
        toy("kept", _vars={"homelab_k3s_verify": "never"}),
    ])
    assert [way(outcome.one(name)) for name in ("variable", "templated", "async", "kept")] == ["transferred"] * 3 + ["kept"]
    outcome = bench.play([toy("environment")], environment={"HOMELAB_K3S_KEEP": "false"})
    assert way(outcome.one("environment")) == "transferred"
    (bench.folder / "ansible.cfg").write_text("[homelab_k3s]\nkeep = false\n")
    try:
        assert way(bench.play([toy("file")]).one("file")) == "transferred"
    finally:
        (bench.folder / "ansible.cfg").unlink()
    outcome = bench.play([toy("wrong")], environment={"HOMELAB_K3S_VERIFY": "sometimes"})
    assert "sometimes" in outcome.one("wrong")["msg"]


def test_fire_and_forget_is_found_again(bench):
    status = {"name": "status", "ansible.builtin.async_status": {"jid": "{{ started.ansible_job_id }}"}}
    later = {"register": "ended", "until": "ended is finished", "retries": 20, "delay": 1}
    outcome = bench.play([toy("start", _async=30, _poll=0, _register="started"), {**status, **later}])
    assert outcome.arguments("status")["_ansible_check_mode"] is False


def test_the_plain_program_is_a_module_by_itself(bench):
    plain = {"name": "plain", "homelab.k3s.__bin__.x86_64.toy": {"text": "hello"}}
    outcome = bench.play([plain])
    assert way(outcome.one("plain")) == "transferred" and outcome.arguments("plain")["text"] == "hello"


def test_two_plays_at_once_on_a_cold_host(bench):
    runs = [bench.start([toy("together", count=number)]) for number in range(4)]
    outcomes = [bench.finish(started) for started in runs]
    assert [way(outcome.one("together")) for outcome in outcomes] == ["kept"] * 4
    assert len(bench.kept()) == 1


def test_refuses_a_host_of_another_architecture(bench):
    shutil.move(bench.program, bench.folder / "aside")
    try:
        answer = bench.play([toy("alien")]).one("alien")
        assert answer["_status"] == "failed"
        assert "Linux x86_64" in answer["msg"] and "aarch64" in answer["msg"] and "target" in answer["msg"]
    finally:
        shutil.move(bench.folder / "aside", bench.program)


def test_a_program_of_another_architecture_is_a_failure_that_says_so(bench):
    shutil.move(bench.program, bench.folder / "aside")
    try:
        bench.program.write_bytes(ALIEN)
        answer = bench.play([toy("alien")]).one("alien")
        assert answer["_status"] == "failed"
        assert "does not start there" in answer["msg"] and answer["rc"] == 126, answer
    finally:
        shutil.move(bench.folder / "aside", bench.program)


def test_a_collection_that_is_not_built_says_how_to_build_it(bench):
    shutil.move(bench.program.parent.parent, bench.folder / "aside")
    try:
        assert "make install" in bench.play([toy("unbuilt")]).one("unbuilt")["msg"]
    finally:
        shutil.move(bench.folder / "aside", bench.program.parent.parent)
