//! `lab real`: every Molecule scenario on binaries of a real k3s, in the same containers.

mod binaries;
mod download;
mod scenario;
mod version;

use crate::process::{self, Program};
use crate::progress::say;
use crate::{down, paths, release, setup, state};
use anyhow::{Context as _, Result, bail};
use scenario::{SCENARIOS, Scenario, Turn};
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use version::Version;

/// The longest took 20 min on two busy cores.
const SCENARIO_LIMIT: Duration = Duration::from_mins(90);

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Scenarios to run [default: all]
    pub scenarios: Vec<String>,
    /// Instead of `LAB_K3S`: two versions that are downloaded, the older one first
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    pub download: Vec<String>,
    /// Where releases are downloaded from
    #[arg(long, default_value = download::RELEASES)]
    pub releases: String,
    /// Where the install script is downloaded from, unless `LAB_K3S_INSTALL` names one
    #[arg(long, default_value = download::SCRIPT)]
    pub script: String,
    /// Tell only which scenario would find which versions
    #[arg(long)]
    pub plan: bool,
}

struct Outcome {
    scenario: &'static str,
    what: String,
    passed: bool,
    seconds: u64,
}

pub fn run(options: &Options) -> Result<()> {
    let chosen = chosen(&options.scenarios)?;
    let folder = binaries_folder(options)?;
    let mut at_hand = binaries::at_hand(&folder)?;
    // Earlier downloads are kept in the same folder.
    at_hand.retain(|version| options.download.is_empty() || options.download.contains(&version.name));
    let turns: Vec<Turn> = chosen
        .iter()
        .map(|scenario| scenario::turn(scenario, &at_hand))
        .collect();
    for turn in &turns {
        say(&told(turn));
    }
    if options.plan {
        return Ok(());
    }
    setup::require_root()?;
    let script = script(options)?;
    process::catch_signals()?;
    let mut outcomes = Vec::new();
    for turn in &turns {
        if let Turn::Run {
            scenario, versions, ..
        } = turn
        {
            outcomes.push(play(scenario, versions, &folder, script.as_deref())?);
        }
    }
    conclude(&turns, &outcomes)
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
            "looking for real binaries: {} names no folder of <version>/k3s, and no two versions are given to download \
             (make real LAB_K3S=<folder>, or make real K3S_FROM=v… K3S_TO=v…)",
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

fn told(turn: &Turn) -> String {
    match turn {
        Turn::Run {
            scenario,
            versions,
            note,
        } => {
            let names: Vec<_> = versions.iter().map(|version| version.name.as_str()).collect();
            let note = note.map_or(String::new(), |note| format!(": {note}"));
            format!("{scenario}: {}{note}", names.join(" to "))
        }
        Turn::Out { scenario, reason } => format!("{scenario}: left out, since {reason}"),
    }
}

fn play(
    scenario: &'static str,
    versions: &[Version],
    folder: &Path,
    script: Option<&Path>,
) -> Result<Outcome> {
    let offered = offer(versions, folder)?;
    say(&format!("scenario {scenario}"));
    let begun = Instant::now();
    let mut argv = vec![
        "env".to_owned(),
        format!("{}={}", release::REAL, offered.display()),
    ];
    argv.extend(script.map(|script| format!("{}={}", release::REAL_SCRIPT, script.display())));
    argv.extend(["molecule", "test", "--scenario-name", scenario].map(str::to_owned));
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
    let names: Vec<_> = versions.iter().map(|version| version.name.as_str()).collect();
    Ok(Outcome {
        scenario,
        what: names.join(" to "),
        passed: outcome? == 0,
        seconds,
    })
}

/// A folder that has these versions and no other: the oldest is the one that the cluster starts with.
fn offer(versions: &[Version], folder: &Path) -> Result<PathBuf> {
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

fn conclude(turns: &[Turn], outcomes: &[Outcome]) -> Result<()> {
    for outcome in outcomes {
        let word = if outcome.passed { "passed" } else { "FAILED" };
        say(&format!(
            "{}: {word} after {} s ({})",
            outcome.scenario, outcome.seconds, outcome.what
        ));
    }
    for turn in turns.iter().filter(|turn| matches!(turn, Turn::Out { .. })) {
        say(&told(turn));
    }
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.passed)
        .map(|outcome| outcome.scenario)
        .collect();
    if !failed.is_empty() {
        bail!("running scenarios on a real k3s: failed: {}", failed.join(", "));
    }
    if outcomes.is_empty() {
        bail!("running scenarios on a real k3s: none can be run with these versions");
    }
    Ok(())
}
