//! Claims that name their volume are bound to it. Nobody provisions volumes here.

use super::Action;
use super::world::World;
use crate::cluster::Part;
use crate::json::{is_terminating, name, set, text};
use crate::kinds;
use serde_json::{Value, json};
use std::sync::Arc;

pub fn actions(world: &World) -> Vec<Action> {
    let open = |claim: &&Arc<Value>| !is_terminating(claim) && text(claim, "/status/phase") != "Bound";
    let volume = |claim: &Value| {
        let wanted = text(claim, "/spec/volumeName");
        world.volumes.iter().find(|volume| name(volume) == wanted)
    };
    let claims = world.claims.iter().filter(open);
    claims
        .filter_map(|claim| Some(bind(claim, volume(claim)?)))
        .collect()
}

fn bind(claim: &Arc<Value>, volume: &Value) -> Action {
    let mut bound = claim.as_ref().clone();
    let status = json!({
        "phase": "Bound", "accessModes": volume["spec"]["accessModes"], "capacity": volume["spec"]["capacity"],
    });
    set(&mut bound, &["status"], status);
    Action::Replace(
        kinds::of("persistentvolumeclaims"),
        Arc::clone(claim),
        bound,
        Part::Status,
    )
}
