//! `lab real`: every Molecule scenario on binaries of a real k3s, in the same containers, for each hop between those at hand.

mod binaries;
mod download;
mod scenario;
mod table;
mod version;

use crate::process::{self, Program};
use crate::progress::say;
use crate::{down, paths, release, setup, state};
use anyhow::{Context as _, Result, bail};
use scenario::{Hop, SCENARIOS, Scenario};
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use table::{Outcome, result, table};
use version::Version;

/// The longest took 20 min on two busy cores.
const SCENARIO_LIMIT: Duration = Duration::from_mins(90);

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Scenarios to run [default: all]
    pub scenarios: Vec<String>,
    /// Instead of `LAB_K3S`: versions that are downloaded
    #[arg(long, num_args = 1.., value_name = "VERSION")]
    pub download: Vec<String>,
    /// Where releases are downloaded from
    #[arg(long, default_value = download::RELEASES)]
    pub releases: String,
    /// Where the install script is downloaded from, unless `LAB_K3S_INSTALL` names one
    #[arg(long, default_value = download::SCRIPT)]
    pub script: String,
    /// Only show which scenario would find which versions, without running any
    #[arg(long)]
    pub plan: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let chosen = chosen(&options.scenarios)?;
    let folder = binaries_folder(options)?;
    let mut at_hand = binaries::at_hand(&folder)?;
    // Earlier downloads are kept in the same folder.
    at_hand.retain(|version| options.download.is_empty() || options.download.contains(&version.name));
    let hops = scenario::hops(&at_hand);
    say(&format!("to be run:\n{}", table(&chosen, &hops, planned)));
    if options.plan {
        return Ok(());
    }
    setup::require_root()?;
    let script = script(options)?;
    process::catch_signals()?;
    let mut outcomes = Vec::new();
    let played = play_all(&chosen, &hops, &mut outcomes, |scenario, versions| {
        play(scenario, versions, &folder, script.as_deref())
    });
    say(&format!("done:\n{}", results(&chosen, &hops, &outcomes)));
    // An interruption: what was done until then is worth knowing.
    played?;
    conclude(&outcomes)
}

type Played<'a> = (&'a Scenario, &'a Hop, Outcome);

fn play_all<'a>(
    chosen: &[&'a Scenario],
    hops: &'a [Hop],
    outcomes: &mut Vec<Played<'a>>,
    play: impl Fn(&Scenario, &[&Version]) -> Result<Outcome>,
) -> Result<()> {
    for hop in hops {
        for scenario in chosen {
            let Some(versions) = hop.versions(scenario) else {
                continue;
            };
            let outcome = play(scenario, &versions)?;
            let word = result(Some(outcome));
            say(&format!("{} on {}: {word}", scenario.name, hop.title()));
            outcomes.push((scenario, hop, outcome));
        }
    }
    Ok(())
}

fn planned(scenario: &Scenario, hop: &Hop) -> String {
    match hop.versions(scenario) {
        None => "-".to_owned(),
        Some(_) if scenario.upgrades => "both".to_owned(),
        Some(_) => hop.to.short().to_owned(),
    }
}

/// In the order of the table, whatever the order on the command line.
fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !SCENARIOS.iter().any(|known| known.name == *name))
    {
        let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        bail!(
            "looking for the scenario {unknown}: there are {}",
            known.join(", ")
        );
    }
    let wanted = |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(SCENARIOS.iter().filter(wanted).collect())
}

fn binaries_folder(options: &Options) -> Result<PathBuf> {
    if !options.download.is_empty() {
        let folder = download::folder();
        return download::versions(&options.releases, &options.download, &folder).map(|()| folder);
    }
    let given = env::var_os(release::REAL).filter(|value| !value.is_empty());
    let given = given.with_context(|| {
        format!(
            "looking for real binaries: {} names no folder of <version>/k3s, and no versions are given to download \
             (make real LAB_K3S=<folder>, or make real K3S_VERSIONS='v… v…')",
            release::REAL
        )
    })?;
    fs::canonicalize(&given).with_context(|| format!("finding {}={}", release::REAL, given.display()))
}

fn script(options: &Options) -> Result<Option<PathBuf>> {
    match env::var_os(release::REAL_SCRIPT).filter(|value| !value.is_empty()) {
        Some(given) => fs::canonicalize(&given)
            .map(Some)
            .with_context(|| format!("finding {}={}", release::REAL_SCRIPT, given.display())),
        None if options.download.is_empty() => {
            say(&format!(
                "{} names no install script: the lab's own stands in for it",
                release::REAL_SCRIPT
            ));
            Ok(None)
        }
        None => download::script(&options.script).map(Some),
    }
}

fn play(scenario: &Scenario, versions: &[&Version], folder: &Path, script: Option<&Path>) -> Result<Outcome> {
    let offered = offer(versions, folder)?;
    let names: Vec<_> = versions.iter().map(|version| version.short()).collect();
    say(&format!("scenario {} on {}", scenario.name, names.join(" and ")));
    let begun = Instant::now();
    let mut argv = vec![
        "env".to_owned(),
        format!("{}={}", release::REAL, offered.display()),
    ];
    argv.extend(script.map(|script| format!("{}={}", release::REAL_SCRIPT, script.display())));
    argv.extend(["molecule", "test", "--scenario-name", scenario.name].map(str::to_owned));
    let outcome = Program::new(argv).limit(SCENARIO_LIMIT).show();
    let seconds = begun.elapsed().as_secs();
    if process::interrupted() {
        process::stop_listening();
    }
    // Also where Molecule could not: the next scenario needs the place.
    let lock = state::lock("down")?;
    down::take_down()?;
    drop(lock);
    fs::remove_dir_all(&offered).with_context(|| format!("removing {}", offered.display()))?;
    Ok(Outcome {
        passed: outcome? == 0,
        seconds,
    })
}

/// A folder that has these versions and no other: the oldest is the one that the cluster starts with.
fn offer(versions: &[&Version], folder: &Path) -> Result<PathBuf> {
    let offered = paths::cache(&format!("offered-{}", paths::name()));
    if offered.exists() {
        fs::remove_dir_all(&offered).with_context(|| format!("removing {}", offered.display()))?;
    }
    fs::create_dir_all(&offered).with_context(|| format!("making {}", offered.display()))?;
    for version in versions {
        symlink(folder.join(&version.name), offered.join(&version.name))
            .with_context(|| format!("offering {}", version.name))?;
    }
    Ok(offered)
}

fn results(scenarios: &[&Scenario], hops: &[Hop], outcomes: &[Played]) -> String {
    table(scenarios, hops, |scenario, hop| {
        let mut outcomes = outcomes.iter();
        let found = outcomes.find(|(played, on, _)| played.name == scenario.name && *on == hop);
        result(found.map(|(_, _, outcome)| *outcome))
    })
}

fn conclude(outcomes: &[Played]) -> Result<()> {
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|(_, _, outcome)| !outcome.passed)
        .map(|(scenario, hop, _)| format!("{} ({})", scenario.name, hop.title()))
        .collect();
    if !failed.is_empty() {
        bail!("running scenarios on a real k3s: failed: {}", failed.join(", "));
    }
    if outcomes.is_empty() {
        bail!("running scenarios on a real k3s: none can be run with these versions");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_before_an_interruption_is_in_the_table_and_a_failure_is_named() {
        let versions = ["v1.35.6+k3s1", "v1.36.3+k3s1"].map(|name| Version::parse(name).unwrap());
        let hops = scenario::hops(&versions);
        let scenarios = chosen(&["default".into(), "ha".into(), "health".into()]).unwrap();
        let mut outcomes = Vec::new();
        let played = play_all(&scenarios, &hops, &mut outcomes, |scenario, versions| {
            anyhow::ensure!(scenario.name != "health", "interrupted");
            Ok(Outcome {
                passed: versions.len() == 2 && scenario.name == "ha",
                seconds: 60,
            })
        });
        assert_eq!(played.unwrap_err().to_string(), "interrupted");
        assert_eq!(
            results(&scenarios, &hops, &outcomes),
            "scenario  v1.35.6 to v1.36.3\n\
             default   FAILED, 60 s\n\
             ha        passed, 60 s\n\
             health    -"
        );
        assert_eq!(
            conclude(&outcomes).unwrap_err().to_string(),
            "running scenarios on a real k3s: failed: default (v1.35.6 to v1.36.3)"
        );
        assert!(conclude(&[]).is_err());
    }
}
