# Copyright: the homelab.k3s authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What reaches the module, and what comes back."""

from __future__ import annotations

import pytest
from conftest import toy

SECRET = "s3cr3t-of-the-cluster"
PLACEHOLDER = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def test_arguments_arrive_typed_and_only_those_given(bench):
    outcome = bench.play([
        toy("typed", number="7", flag="yes", path="~/x"),
        toy("lists", names="a,b", table={"k": [1, None]}, text="{{ omit }}", mode=None),
        toy("number as text", text=5),
        toy("lossy number", text=1.30),
        toy("defaults", _module_defaults={"homelab.k3s.toy": {"text": "from defaults"}}),
    ])
    own = {
        name: {key: value for key, value in outcome.arguments(name).items() if not key.startswith("_ansible_")}
        for name in ("typed", "lists", "number as text", "lossy number", "defaults")
    }
    assert own["typed"] == {"count": 7, "flag": True, "path": "~/x"}
    assert own["lists"] == {"names": ["a", "b"], "table": {"k": [1, None]}}
    assert own["number as text"] == {"text": "5"}
    assert own["lossy number"] == {"text": 1.3}
    assert own["defaults"] == {"text": "from defaults"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"colour": "red"}, ["Unsupported parameters for (homelab.k3s.toy) module: colour", "Supported parameters include: count"]),
        ({"count": "many"}, ["count", "int"]),
        ({"flag": "perhaps"}, ["flag", "perhaps"]),
        ({"mode": "dance"}, ["mode", "report", "dance"]),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(bench, arguments, expected):
    outcome = bench.play([toy("wrong", **arguments)])
    assert outcome.status == 2 and outcome.calls == 0
    assert all(words in outcome.one("wrong")["msg"] for words in expected), outcome.one("wrong")["msg"]


def test_ansibles_own_keys_are_those_of_its_own_way(bench):
    names = ("kept", "transferred")
    outcome = bench.play(
        [toy("kept"), toy("transferred", _vars={"homelab_k3s_keep": False})], arguments=["--check", "--diff", "-vv"]
    )
    kept, transferred = (outcome.arguments(name) for name in names)
    assert kept["_ansible_check_mode"] is True and kept["_ansible_diff"] is True and kept["_ansible_verbosity"] == 2
    assert kept["_ansible_module_name"] == "homelab.k3s.toy"
    # A temporary folder is only made where files are sent.
    for key in ("_ansible_module_name", "_ansible_tmpdir"):
        kept.pop(key), transferred.pop(key)
    assert kept == transferred
    assert "-old" in outcome.output and "+new" in outcome.output


def test_warnings_and_failures_show(bench):
    outcome = bench.play([toy("report"), toy("fail", mode="fail", _ignore_errors=True), toy("after")])
    assert "a warning" in outcome.output
    assert outcome.one("fail")["_status"] == "failed" and outcome.one("fail")["msg"] == "as asked" and outcome.one("fail")["rc"] == 3
    assert outcome.one("after")["_status"] == "ok"


def test_noise_on_stderr_does_no_harm(bench):
    assert bench.play([toy("noisy", mode="noisy")]).one("noisy")["_status"] == "ok"


def test_large_arguments_and_large_answers(bench):
    size = 4 << 20
    outcome = bench.play([
        toy("cold and large", text="{{ 'x' * %d }}" % size),
        toy("large answer", mode="large", _register="large"),
        {"name": "length", "ansible.builtin.assert": {"that": "large.stdout | length == 8 * 1024 * 1024"}},
    ])
    assert outcome.one("cold and large")["size"] > size
    assert outcome.one("length")["_status"] == "ok"


def test_a_program_that_died_at_work_is_not_started_again(bench):
    trace = bench.home / "trace"
    for mode, verify in (("crash", "always"), ("silent", "always"), ("crash", "changed"), ("crash", "never")):
        trace.unlink(missing_ok=True)
        task = toy("died", mode=mode, trace=str(trace), _vars={"homelab_k3s_verify": verify})
        outcome = bench.play([task])
        assert outcome.one("died")["_status"] == "failed"
        assert "without an answer" in outcome.one("died")["msg"] and "target" in outcome.one("died")["msg"]
        assert trace.read_text() == "started\n", (mode, verify)


def test_environment_reaches_the_module(bench):
    outcome = bench.play([toy("environment", _environment={"TOY_WORD": "it's \"quoted\" $HOME"})])
    assert outcome.one("environment")["environment"]["TOY_WORD"] == "it's \"quoted\" $HOME"


def test_private_values_show_nowhere(bench):
    multi = f"-----BEGIN KEY-----\n{SECRET}-first-line\n{SECRET}-second-line\n"
    outcome = bench.play(
        [
            toy("echoed", token=SECRET, text=f"x {SECRET} y"),
            toy("printed", token=multi, text=f"{SECRET}-second-line"),
            toy("short", token="1", count=1),
            toy("wrong", token=SECRET, mode=SECRET, _ignore_errors=True),
            toy("numeric", token=123456, text="x 123456 y", _register="numeric"),
        ],
        arguments=["-vvvv"],
    )
    assert [line for line in outcome.output.splitlines() if SECRET in line] == [] and SECRET not in str(outcome.records)
    assert outcome.arguments("echoed")["text"] == "x ******** y"
    assert outcome.one("echoed")["token"] == PLACEHOLDER
    assert outcome.arguments("short")["count"] == 1 and outcome.one("short")["changed"] is True
    assert outcome.arguments("numeric")["text"] == "x ******** y"
    assert all(SECRET not in word for word in outcome.one("echoed")["argv"])
    assert "********" in outcome.one("wrong")["msg"] or PLACEHOLDER in outcome.one("wrong")["msg"]


def test_a_private_result_is_hidden_where_the_task_has_not_said_so(bench):
    tasks = [
        {"name": "private", "homelab.k3s.keeper": {"text": SECRET}, "register": "kept"},
        {"name": "used", "ansible.builtin.debug": {"msg": "{{ kept.received | length > 0 }}"}},
    ]
    outcome = bench.play(tasks, arguments=["-vvvv"])
    assert [line for line in outcome.output.splitlines() if SECRET in line] == [] and SECRET not in str(outcome.records)
    assert outcome.one("used")["msg"] in (True, "True")


def test_private_values_are_in_no_argv_and_no_environment_on_the_way(bench):
    # The wrapper around ssh sees every argv that leaves this machine, and its own environment.
    wrapper = bench.folder / "counting-ssh"
    kept, seen = wrapper.read_text(), bench.folder / "seen.log"
    wrapper.write_text(kept.replace("exec ssh", f'{{ echo "$@"; env; }} >>{seen}\nexec ssh'))
    try:
        bench.play([toy("cold", token=SECRET), toy("warm", token=SECRET)])
        assert "homelab.k3s" in seen.read_text() and SECRET not in seen.read_text()
    finally:
        wrapper.write_text(kept)


def test_no_log_on_the_task_is_passed_on(bench):
    outcome = bench.play([toy("hidden", text=SECRET, _no_log=True)])
    assert [line for line in outcome.output.splitlines() if SECRET in line] == [] and SECRET not in str(outcome.records)


def test_the_connection_to_another_host_is_lost(bench):
    lost = toy("lost", _delegate_to="gone")
    rescue = {"name": "rescue", "ansible.builtin.debug": {"msg": "rescued"}}
    outcome = bench.play([{"block": [lost], "rescue": [rescue]}], host="node")
    assert outcome.one("lost")["_status"] == "failed"
    assert outcome.one("lost")["unreachable_host"] == "gone"
    assert all(words in outcome.one("lost")["msg"] for words in ("homelab.k3s.toy", "for node", "on gone", "refused"))
    assert outcome.one("rescue")["_status"] == "ok" and outcome.status == 0


def test_without_delegation_a_host_is_unreachable_as_ever(bench):
    outcome = bench.play([toy("lost")], host="gone")
    assert outcome.one("lost")["_status"] == "unreachable" and outcome.status == 4


def test_delegated_work_is_done_where_it_is_delegated_to(bench):
    outcome = bench.play([toy("delegated", _delegate_to="target")], host="node")
    assert outcome.one("delegated")["argv"][-1] == "-" and outcome.calls > 0


def test_the_control_node_itself(bench):
    outcome = bench.play([toy("local")], host="here")
    assert outcome.one("local")["argv"][-1] == "-" and outcome.one("local")["uid"] == 0


def test_the_run_that_the_user_started_is_named(bench):
    started = bench.start([{"name": "holder", "homelab.k3s.holder": {}}])
    table = bench.finish(started).arguments("holder")["table"]
    assert table["pid"] == started[0].pid
    assert f"{table['pid']}:{table['start']}" in table["alive"]
