//! What goes when something above it is gone: the content of namespaces, and objects without their owners.

use super::Action;
use super::world::World;
use crate::cluster::Part;
use crate::json::{is_terminating, items, name, namespace, set, text};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn actions(world: &World) -> Vec<Action> {
    world
        .namespaces
        .iter()
        .filter(|space| is_terminating(space))
        .flat_map(|space| empty(world, space))
        .collect()
}

fn empty(world: &World, space: &Arc<Value>) -> Vec<Action> {
    let inside = |object: &&Arc<Value>| namespace(object) == name(space);
    let mut actions = Vec::new();
    let mut left = false;
    for (plural, objects) in &world.namespaced {
        for object in objects.iter().filter(inside) {
            left = true;
            if !is_terminating(object) {
                actions.push(Action::delete(plural, object));
            }
        }
    }
    if !left && !items(space, "/spec/finalizers").is_empty() {
        let mut free = space.as_ref().clone();
        set(&mut free, &["spec", "finalizers"], json!([]));
        actions.push(Action::Replace(
            kinds::of("namespaces"),
            Arc::clone(space),
            free,
            Part::Main,
        ));
    }
    actions
}

pub fn collect_garbage(world: &World) -> Vec<Action> {
    let mut actions = Vec::new();
    for (plural, objects) in &world.namespaced {
        for object in objects.iter().filter(|object| !is_terminating(object)) {
            let owners = items(object, "/metadata/ownerReferences");
            if !owners.is_empty()
                && owners
                    .iter()
                    .all(|owner| !world.uids.contains(text(owner, "/uid")))
            {
                actions.push(Action::delete(plural, object));
            }
        }
    }
    actions
}
