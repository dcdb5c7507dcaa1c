//! What should be the same everywhere, and is not.

use std::collections::BTreeMap;

/// Who has which value, where there is more than one value.
pub(crate) fn differing<'a, V: Ord>(
    pairs: impl Iterator<Item = (&'a str, V)>,
) -> Option<BTreeMap<V, Vec<&'a str>>> {
    let mut by_value: BTreeMap<V, Vec<&str>> = BTreeMap::new();
    for (name, value) in pairs {
        by_value.entry(value).or_default().push(name);
    }
    (by_value.len() > 1).then_some(by_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_who_has_which_value() {
        let pairs = [("n1", "a"), ("n2", "b"), ("n3", "a")];
        let found = differing(pairs.into_iter()).unwrap();
        assert_eq!(found["a"], ["n1", "n3"]);
        assert_eq!(found["b"], ["n2"]);
    }

    #[test]
    fn finds_nothing_where_all_have_the_same() {
        assert_eq!(differing([("n1", 1), ("n2", 1)].into_iter()), None);
        assert_eq!(differing(std::iter::empty::<(&str, u8)>()), None);
    }
}
