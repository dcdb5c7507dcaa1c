//! What is put back after a failed step, and what is reported about the rest.

use crate::params::Params;
use crate::record;
use crate::report::Journal;
use crate::run::done;
use crate::script;
use crate::state::State;
use crate::steps;
use host::Host;
use k3s_node::setup::DEFAULT_BINARY;
use k3s_types::mask;

/// A record that we began and that nothing followed would only be in the way.
pub(crate) fn forget(params: &Params, host: &dyn Host, before: &State, journal: &mut Journal) -> String {
    if before.record().is_some() {
        return "nothing more was changed; the install record of the interrupted run is kept, and the same command resumes it".to_owned();
    }
    let record = journal.record.as_ref();
    let binary = record
        .map_or(DEFAULT_BINARY, |record| &record.setup.binary)
        .to_owned();
    match steps::drop_record(params, host, &binary, journal) {
        Ok(()) => "nothing was changed".to_owned(),
        Err(error) => format!("nothing was changed, but the install record stays ({error:#})"),
    }
}

/// Restores unit and environment; the restart is left to whoever has seen what happened.
pub(crate) fn put_back(params: &Params, host: &dyn Host, before: &State, journal: &mut Journal) -> String {
    let setup = journal.record.as_ref().map(|record| &record.setup);
    let Some((setup, unit)) = setup.and_then(|setup| Some((setup, setup.unit.as_ref()?))) else {
        let forgotten = done(
            host,
            &script::forget_script(params),
            "forgetting the install script",
        );
        let script = match forgotten {
            Ok(_) => String::new(),
            Err(error) => format!("; the next run uses the same install script ({error:#})"),
        };
        return format!(
            "the fresh install stopped half-way; its record is {}, and the same command resumes it{script}",
            record::PATH
        );
    };
    let other = setup.role.other();
    let intruder = before.units[&other].text.is_none().then(|| other.unit());
    let what = format!("{} and its environment file", setup.unit_path());
    let command = script::restore(params, setup, unit, intruder);
    let outcome = match done(host, &command, "putting back unit and environment") {
        Ok(_) => {
            journal.restored = true;
            format!("{what} were restored, and k3s was not restarted")
        }
        Err(error) => format!(
            "{what} could not be put back ({error:#}); they are safe in {}",
            record::PATH
        ),
    };
    format!("{outcome}; the binary may be the new one already, and the same command resumes it")
}

/// After the proof nothing is undone: what runs then is for the operator to see.
pub(crate) fn describe(host: &dyn Host, journal: &Journal) -> String {
    let Some(unit) = &journal.unit else {
        return format!(
            "unit and environment are proven; the install record stays in {}, and the same command resumes it",
            record::PATH
        );
    };
    let output = host.run(&script::journal(unit)).map(|output| output.text());
    let lines = mask::scrub(&output.unwrap_or_default(), &journal.secrets);
    let lines: Vec<&str> = lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    format!(
        "role, arguments and environment are as before and the new version is installed, but the node did not become ready. Look at `journalctl -u {unit}` there and, once the cause is gone, run the same command again (last lines of the journal: {})",
        if lines.is_empty() {
            "none".to_owned()
        } else {
            lines.join(" | ")
        }
    )
}
