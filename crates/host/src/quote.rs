//! Words for a shell.

/// A word that a shell reads literally.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
