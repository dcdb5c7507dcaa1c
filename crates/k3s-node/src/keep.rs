//! Files of our own on a node.

use crate::changes::Changes;
use crate::program::Program;
use host::Command;

/// Keeps a file below [`crate::FOLDER`], readable by root only and synced.
pub fn keep(binary: &str, patience: u64, file: &str, content: &str) -> Command {
    let path = format!("{}/{file}", crate::FOLDER);
    let changes = Changes::new().own_folder().write(&path, 0o600, content);
    let body = format!("take_turn\n{}", changes.lines());
    Program::new(binary).end_after_turn(patience, &body, Command::USUAL_LIMIT)
}
