//! Upgrades that are interrupted, at every point there is.

use crate::*;

/// Everything is killed, the module and what it runs in the container, before the nth changing program.
fn killed_at(point: u32, node: &Node, unit: &'static str, arguments: &Value) -> bool {
    let before = Kept::of(node, unit);
    node.kill_at.set(point);
    let answer = call(node, arguments, false);
    assert_eq!(answer["failed"], node.was_killed(), "{answer:#}");
    node.kill_at.set(0);
    is_resumed(
        node,
        &before,
        arguments,
        &format!("killed before program {point}"),
    )
}

/// The module is gone after its nth command; what it had started in the container goes on to its end.
fn died_after(point: u32, node: &Node, unit: &'static str, arguments: &Value) -> bool {
    let before = Kept::of(node, unit);
    node.die_after.set(point);
    call(node, arguments, false);
    node.die_after.set(0);
    is_resumed(node, &before, arguments, &format!("died after command {point}"))
}

/// The same command again; `false` where there was no such point any more.
fn is_resumed(node: &Node, before: &Kept, arguments: &Value, context: &str) -> bool {
    if !node.was_killed() {
        return false;
    }
    node.revive();
    let answer = call(node, arguments, false);
    assert_eq!(answer["failed"], false, "{context}: {answer:#}");
    assert_intact(node, before, context);
    true
}

/// Every `step`th point from `first` on. Returns how many there were.
fn all_points(first: u32, step: usize, mut at: impl FnMut(u32) -> bool) -> usize {
    (first..).step_by(step).take_while(|point| at(*point)).count()
}

/// Quick to arrive: what is tried here is not the wait.
fn quick(node: Node) -> Node {
    node.put("state/delay", "0");
    node
}

#[test]
fn wherever_an_agents_install_is_killed_the_same_command_finishes_it() {
    let arguments = json!({"settle": 0});
    let tried = |first| {
        all_points(first, 2, |point| {
            killed_at(point, &quick(agent("2025")), "k3s-agent.service", &arguments)
        })
    };
    // Two at a time: it is some seventy installs.
    let odd = std::thread::scope(|scope| {
        let even = scope.spawn(|| tried(2));
        tried(1) + even.join().unwrap()
    });
    assert!(odd > 30, "only {odd} points");
}

#[test]
fn wherever_the_module_dies_the_same_command_finishes_it() {
    let arguments = json!({"settle": 0, "prefetch": false});
    let points = all_points(1, 1, |point| {
        died_after(point, &quick(server("2026")), "k3s.service", &arguments)
    });
    assert!(points > 8, "only {points} points");
}
