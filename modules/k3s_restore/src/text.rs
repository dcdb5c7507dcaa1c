//! The plan in words: what will be lost, what is done where, why it is refused.

use crate::cluster::Verdict;
use crate::params::Planning;
use crate::seen::{ArchiveSeen, Host};
use server_archive::Objects;

/// Kinds whose numbers differ, listed one by one.
const KINDS: usize = 8;

pub(crate) fn plan(planning: &Planning, verdict: &Verdict) -> Vec<String> {
    let mut lines = vec![format!("Restore of the backup {}", planning.backup)];
    if let Some(archive) = verdict.archive {
        lines.extend(lost(archive, planning));
    }
    if verdict.refusals.is_empty() {
        lines.extend(done(verdict));
    }
    lines.extend(verdict.notices.iter().map(|notice| format!("Note: {notice}")));
    lines.extend(
        verdict
            .refusal_lines()
            .iter()
            .map(|refusal| format!("Refused: {refusal}")),
    );
    lines
}

fn lost(archive: &ArchiveSeen, planning: &Planning) -> Vec<String> {
    let mut lines = vec![
        format!(
            "It was taken at {} on {} ({}, k3s {}).",
            archive.taken_at, archive.node, archive.datastore, archive.k3s_version
        ),
        format!(
            "Every change in the cluster since then is lost: {}.",
            age(archive.age)
        ),
    ];
    let now = planning
        .hosts
        .iter()
        .map(|host| &host.answer.objects)
        .find(|objects| !objects.is_empty());
    if let Some(now) = now.filter(|_| !archive.objects.is_empty()) {
        lines.push(compared(&archive.objects, now));
    }
    lines
}

fn done(verdict: &Verdict) -> Vec<String> {
    let Some(first) = verdict.first else {
        return Vec::new();
    };
    let names = |hosts: &[&Host]| {
        hosts
            .iter()
            .map(|host| host.host.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut lines = vec![format!(
        "{} gets the backup; its old datastore is kept beside it.",
        first.host
    )];
    if verdict.peers.is_empty() {
        lines.push("The API is down until k3s is up again. Pods keep running.".to_owned());
    } else {
        lines.push(format!(
            "{} are stopped too, have their databases set aside, and join it again one at a time.",
            names(&verdict.peers)
        ));
        lines.push(format!(
            "The API is down until {} is up again. Pods keep running.",
            first.host
        ));
    }
    lines
}

/// `Objects then and now: 412 and 530. configmap 12 and 130; …`
fn compared(then: &Objects, now: &Objects) -> String {
    let total = |objects: &Objects| objects.values().sum::<u64>();
    let mut kinds: Vec<(&String, u64, u64)> = then
        .keys()
        .chain(now.keys().filter(|kind| !then.contains_key(*kind)))
        .map(|kind| {
            let of = |objects: &Objects| objects.get(kind).copied().unwrap_or(0);
            (kind, of(then), of(now))
        })
        .filter(|(_, then, now)| then != now)
        .collect();
    kinds.sort_by_key(|(kind, then, now)| (std::cmp::Reverse(then.abs_diff(*now)), (*kind).clone()));
    let differences: Vec<String> = kinds
        .iter()
        .take(KINDS)
        .map(|(kind, then, now)| format!("{kind} {then} and {now}"))
        .collect();
    let rest = kinds.len().saturating_sub(KINDS);
    let more = if rest > 0 {
        format!("; {rest} kinds more")
    } else {
        String::new()
    };
    let differ = if differences.is_empty() {
        " (of each kind the same)".to_owned()
    } else {
        format!(". {}{more}", differences.join("; "))
    };
    format!("Objects then and now: {} and {}{differ}", total(then), total(now))
}

fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {minutes} min"),
        (1, hours) => format!("1 day {hours} h"),
        (days, hours) => format!("{days} days {hours} h"),
    }
}

/// Why it cannot be done.
pub(crate) fn refused(verdict: &Verdict) -> Option<String> {
    (!verdict.refusals.is_empty()).then(|| {
        format!(
            "The restore is refused; nothing was touched.\n{}",
            verdict.refusal_lines().join("\n")
        )
    })
}

/// What is missing to do it, where it can be done.
pub(crate) fn unconfirmed(planning: &Planning, verdict: &Verdict) -> Option<String> {
    let backup = &planning.backup;
    (verdict.refusals.is_empty() && planning.confirm != *backup).then(|| {
        format!(
            "Nothing was touched. What is lost stands above. To restore all the same: -e k3s_restore_backup={backup} -e \
             k3s_restore_confirm={backup}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(counts: &[(&str, u64)]) -> Objects {
        counts
            .iter()
            .map(|(kind, count)| ((*kind).to_owned(), *count))
            .collect()
    }

    #[test]
    fn lists_the_largest_difference_first() {
        let then = objects(&[("configmap", 12), ("secret", 7), ("node", 3)]);
        let now = objects(&[("configmap", 130), ("secret", 6), ("node", 3), ("job.batch", 1)]);
        assert_eq!(
            compared(&then, &now),
            "Objects then and now: 22 and 140. configmap 12 and 130; job.batch 0 and 1; secret 7 and 6"
        );
        assert_eq!(
            compared(&then, &then),
            "Objects then and now: 22 and 22 (of each kind the same)"
        );
    }

    #[test]
    fn formats_ages_for_people() {
        for (seconds, expected) in [
            (59, "0 min"),
            (3599, "59 min"),
            (7260, "2 h 1 min"),
            (90_000, "1 day 1 h"),
            (180_000, "2 days 2 h"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }
}
