//! What `lab real` ends with: each scenario on each hop.

use super::scenario::{Hop, Scenario};

/// How a scenario went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) passed: bool,
    pub(super) seconds: u64,
}

/// A row for each scenario, a column for each hop. `cell` says what is in it.
pub(super) fn table(
    scenarios: &[&Scenario],
    hops: &[Hop],
    cell: impl Fn(&Scenario, &Hop) -> String,
) -> String {
    let mut rows = vec![
        std::iter::once("scenario".to_owned())
            .chain(hops.iter().map(Hop::title))
            .collect::<Vec<_>>(),
    ];
    rows.extend(scenarios.iter().map(|scenario| {
        let cells = hops.iter().map(|hop| cell(scenario, hop));
        std::iter::once(scenario.name.to_owned()).chain(cells).collect()
    }));
    aligned(&rows)
}

fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let lines = rows.iter().map(|row| {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column)))
            .collect();
        cells.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `passed, 154 s`; a dash: nobody has tried.
pub(super) fn result(outcome: Option<Outcome>) -> String {
    match outcome {
        None => "-".to_owned(),
        Some(Outcome { passed, seconds }) => {
            let word = if passed { "passed" } else { "FAILED" };
            format!("{word}, {seconds} s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{SCENARIOS, hops};
    use super::super::version::Version;
    use super::*;

    #[test]
    fn there_is_a_row_for_each_scenario_and_a_column_for_each_hop() {
        let versions =
            ["v1.33.12+k3s1", "v1.35.6+k3s1", "v1.36.3+k3s1"].map(|name| Version::parse(name).unwrap());
        let hops = hops(&versions);
        let chosen: Vec<_> = SCENARIOS
            .iter()
            .filter(|scenario| ["ha-life", "health"].contains(&scenario.name))
            .collect();
        let text = table(&chosen, &hops, |scenario, hop| {
            let tried = hop.versions(scenario).is_some();
            result(tried.then_some(Outcome {
                passed: scenario.name == "health",
                seconds: 154,
            }))
        });
        assert_eq!(
            text,
            "scenario  v1.33.12       v1.35.6 to v1.36.3\n\
             ha-life   -              FAILED, 154 s\n\
             health    passed, 154 s  passed, 154 s"
        );
    }
}
