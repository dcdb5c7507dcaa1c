//! Text between `<!-- BEGIN name -->` and `<!-- END name -->`, in a page that is otherwise written by hand.

use anyhow::{Context, Result};

pub(crate) fn replaced(text: &str, name: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- BEGIN {name} -->\n"), format!("<!-- END {name} -->"));
    let missing = || format!("there is no line {}", begin.trim());
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (_old, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_old_table() {
        let text = "a\n<!-- BEGIN X -->\nold\n<!-- END X -->\nb\n";
        let once = replaced(text, "X", "new\n").unwrap();
        assert_eq!(once, "a\n<!-- BEGIN X -->\n\nnew\n\n<!-- END X -->\nb\n");
        assert_eq!(replaced(&once, "X", "new\n").unwrap(), once);
        assert!(replaced("no marks", "X", "").is_err());
    }
}
