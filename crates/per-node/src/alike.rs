//! Texts that say the same of several nodes, but for a few words.

/// What stands for the words that differ.
const DIFFERS: &str = "…";

/// One text, and whom it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub nodes: Vec<String>,
    /// With the words that differ after it, in brackets.
    pub text: String,
}

/// Says each text once, in the order in which they came. Texts are the same where at least half of their words are, at
/// their beginning and end.
pub fn once(texts: &[(String, String)]) -> Vec<Said> {
    let mut groups: Vec<Vec<(&str, &str)>> = Vec::new();
    for (node, text) in texts {
        let entry = (node.as_str(), text.as_str());
        match groups.iter_mut().find(|group| is_alike(group[0].1, text)) {
            Some(group) => group.push(entry),
            None => groups.push(vec![entry]),
        }
    }
    groups.iter().map(|group| said(group)).collect()
}

fn said(group: &[(&str, &str)]) -> Said {
    let mut nodes: Vec<String> = Vec::new();
    for (node, _) in group {
        if !nodes.iter().any(|known| known == node) {
            nodes.push((*node).to_owned());
        }
    }
    Said {
        nodes,
        text: merged(group),
    }
}

/// Whether two texts may be said as one.
pub(crate) fn is_alike(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split(' ').collect(), b.split(' ').collect());
    let (before, after) = common(&[a.clone(), b.clone()]);
    (before + after) * 2 >= a.len().max(b.len())
}

/// One text of all: what they share, and then of each node what is its own.
pub(crate) fn merged(group: &[(&str, &str)]) -> String {
    let Some((_, first)) = group.first() else {
        return String::new();
    };
    if group.iter().all(|(_, text)| text == first) {
        return (*first).to_owned();
    }
    let words: Vec<Vec<&str>> = group.iter().map(|(_, text)| text.split(' ').collect()).collect();
    let (before, after) = common(&words);
    let own = |words: &[&str]| {
        let own = words[before..words.len() - after].join(" ");
        own.trim_end_matches([',', ';', ':', '.']).to_owned()
    };
    let mut owns: Vec<(String, Vec<&str>)> = Vec::new();
    for ((node, _), words) in group.iter().zip(&words) {
        let own = own(words);
        match owns.iter_mut().find(|(text, _)| *text == own) {
            Some((_, nodes)) => nodes.push(node),
            None => owns.push((own, vec![node])),
        }
    }
    let listed: Vec<String> = owns
        .iter()
        .map(|(own, nodes)| format!("{}: {own}", nodes.join(", ")))
        .collect();
    let mut shared: Vec<&str> = words[0][..before].to_vec();
    shared.push(DIFFERS);
    shared.extend(&words[0][words[0].len() - after..]);
    format!("{} ({})", shared.join(" "), listed.join("; "))
}

/// How many words all share at the beginning, and at the end. Each keeps one of its own.
fn common(texts: &[Vec<&str>]) -> (usize, usize) {
    let Some(first) = texts.first() else {
        return (0, 0);
    };
    let shortest = texts.iter().map(Vec::len).min().unwrap_or_default();
    let most = shortest.saturating_sub(1);
    let before = (0..most)
        .take_while(|at| texts.iter().all(|text| text[*at] == first[*at]))
        .count();
    let after = (1..=most - before)
        .take_while(|back| {
            let same = |text: &Vec<&str>| text[text.len() - back] == first[first.len() - back];
            texts.iter().all(same)
        })
        .count();
    (before, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(texts: &[(&str, &str)]) -> Vec<String> {
        let texts: Vec<(String, String)> = texts
            .iter()
            .map(|(node, text)| ((*node).to_owned(), (*text).to_owned()))
            .collect();
        let line = |said: Said| format!("{}: {}", said.nodes.join(", "), said.text);
        once(&texts).into_iter().map(line).collect()
    }

    #[test]
    fn the_same_of_four_nodes_is_said_once() {
        let text = "cgroup v1 is no longer enough";
        assert_eq!(
            described(&[("w1", text), ("w2", text), ("c1", "something else"), ("w3", text)]),
            ["w1, w2, w3: cgroup v1 is no longer enough", "c1: something else"]
        );
        assert!(described(&[]).is_empty());
    }

    #[test]
    fn what_differs_is_said_of_each_node() {
        let line =
            |file: u32| format!("give /etc/pve/lxc/{file}.conf on pve1 the line `features: nesting=1`");
        assert_eq!(
            described(&[("w1", &line(111)), ("w2", &line(112))]),
            [
                "w1, w2: give … on pve1 the line `features: nesting=1` (w1: /etc/pve/lxc/111.conf; w2: /etc/pve/lxc/112.conf)"
            ]
        );
        let free = |mb: u32| format!("container 1 has {mb} MiB free, and 512 have to be");
        assert_eq!(
            described(&[("w1", &free(7)), ("w2", &free(9)), ("w3", &free(7))]),
            ["w1, w2, w3: container 1 has … MiB free, and 512 have to be (w1, w3: 7; w2: 9)"]
        );
    }

    #[test]
    fn a_text_that_only_goes_on_further_keeps_its_last_word() {
        assert_eq!(
            described(&[("w1", "a b c d"), ("w2", "a b c d e")]),
            ["w1, w2: a b c … (w1: d; w2: d e)"]
        );
        assert_eq!(
            described(&[("w1", "full"), ("w2", "stopped")]),
            ["w1: full", "w2: stopped"]
        );
        assert_eq!(described(&[("w1", ""), ("w2", "full")]), ["w1: ", "w2: full"]);
    }

    #[test]
    fn texts_with_little_in_common_stay_apart() {
        assert_eq!(
            described(&[
                ("w1", "they have the same pct_id 101 on pve1"),
                ("w2", "its pve_host pve9 is not in the group pve"),
            ])
            .len(),
            2
        );
    }
}
