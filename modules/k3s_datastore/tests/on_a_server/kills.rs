//! Migrations that are interrupted, at every point there is.

use crate::*;

fn ends_on_etcd(server: &Server, context: &str) {
    let answer = call(server, &json!({"run_id": "run-2"}), false);
    assert_eq!(answer["failed"], false, "{context}: {answer:#}");
    assert_eq!(answer["datastore_after"], "etcd", "{context}");
    assert_on_etcd(server, context);
    let again = call(server, &json!({"run_id": "run-3"}), false);
    assert_eq!(again["changed"], false, "{context}: {again:#}");
}

/// Runs `interrupted` with one point after the other until there is none any more, each on a fresh server.
fn at_every_point(least: u32, interrupted: impl Fn(u32, &Server) -> bool) {
    for point in 1.. {
        let server = Server::new();
        if !interrupted(point, &server) {
            assert!(point > least, "only {point} points");
            return;
        }
    }
}

#[test]
fn wherever_everything_is_killed_the_same_command_finishes_it() {
    at_every_point(20, |point, server| {
        server.kill_at.set(point);
        let answer = call(server, &json!({}), false);
        assert_eq!(answer["failed"], server.was_killed(), "{answer:#}");
        let killed = server.was_killed();
        if killed {
            server.revive_after_kill();
            ends_on_etcd(server, &format!("killed before program {point}"));
        }
        killed
    });
}

#[test]
fn wherever_the_module_dies_the_same_command_finishes_it() {
    at_every_point(10, |point, server| {
        server.die_after.set(point);
        call(server, &json!({}), false);
        let died = server.was_killed();
        if died {
            server.revive();
            ends_on_etcd(server, &format!("died after command {point}"));
        }
        died
    });
}

#[test]
fn wherever_the_machine_reboots_k3s_never_serves_half_a_cluster() {
    at_every_point(20, |point, server| {
        server.kill_at.set(point);
        call(server, &json!({}), false);
        let killed = server.was_killed();
        if killed {
            server.reboot();
            let context = format!("rebooted before program {point}");
            assert_never_served_less(server, &context);
            ends_on_etcd(server, &context);
        }
        killed
    });
}

#[test]
fn a_rollback_interrupted_anywhere_is_finished_by_the_same_command() {
    // The first start fails; killed after that, on the way back.
    at_every_point(40, |point, server| {
        server.put("state/migration", "once\n");
        server.kill_at.set(point);
        call(server, &json!({}), false);
        let killed = server.was_killed();
        if killed {
            server.revive_after_kill();
            server.repair();
            ends_on_etcd(server, &format!("the way back was killed before program {point}"));
        } else {
            assert_on_sqlite(server, "the way back was not killed");
        }
        killed
    });
}

#[test]
fn wherever_the_machine_reboots_on_the_way_back_nothing_is_lost() {
    at_every_point(40, |point, server| {
        // Of this one k3s is content; it is the comparison that finds the loss.
        server.put("state/migration", "loses\n");
        server.kill_at.set(point);
        call(server, &json!({}), false);
        let killed = server.was_killed();
        if killed {
            server.reboot();
            server.repair();
            let answer = call(server, &json!({}), false);
            // k3s may have gone on with the etcd that lacks something: that is seen now, and undone.
            assert!(
                answer["failed"] == false || answer["rolled_back"] == true,
                "{answer:#}"
            );
            ends_on_etcd(
                server,
                &format!("rebooted on the way back before program {point}"),
            );
        }
        killed
    });
}

#[test]
fn what_a_way_back_has_left_half_done_is_not_taken_for_the_database() {
    let server = Server::new();
    server.put("state/migration", "hangs\n");
    // Killed when k3s was started: the copy is taken.
    server.die_after.set(12);
    call(&server, &json!({}), false);
    server.revive_after_kill();
    server.repair();
    assert!(
        server.text(RECORD).contains("\"run_id\":\"run-1\""),
        "whose run it was"
    );
    // Then a way back, without a log that held the last objects.
    server.edit(RECORD, "\"migrating\"", "\"going_back\"");
    server.forget_object(&format!("{DB}/state.db"));
    assert_eq!(server.sqlite(&format!("{DB}/state.db")).len() as u64, OBJECTS - 1);
    ends_on_etcd(&server, "half-way back");
}

#[test]
fn what_k3s_ends_by_itself_while_it_is_being_looked_at_is_not_undone() {
    let server = Server::new();
    server.put("state/migration", "late\n");
    // The module died when k3s was started, and everything is moved while the next run asks the API.
    server.die_after.set(12);
    call(&server, &json!({}), false);
    server.revive();
    server.pass(std::time::Duration::from_secs(20));
    assert!(server.has(&format!("{DB}/state.db")), "k3s has moved it already");
    ends_on_etcd(&server, "late");
    assert_eq!(
        server.history(),
        ["etcd"],
        "it was started once, and is not put back"
    );
}
