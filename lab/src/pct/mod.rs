//! A stand-in for Proxmox's container tool, over the LXC programs: same words, exit codes, environment and traps.
//! The contract is `lab/README.md`'s table; each row has a test in `tests/pct.rs`.

mod args;
mod conf;
mod exec;
mod failure;
pub mod faults;
mod host;
mod locale;
mod lock;
mod lxc_conf;
mod power;
mod set;
mod show;
mod snapshot;
mod transfer;

use failure::{Failure, Outcome};
use host::Host;
use std::process::ExitCode;

/// The first thing Proxmox's handler does: what every child sees, hence no /usr/local.
const PATH: &str = "/sbin:/bin:/usr/sbin:/usr/bin";

pub fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("{}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

fn run() -> Outcome {
    let words = locale::arguments();
    let Some((verb, rest)) = words.split_first() else {
        return Err(Failure::new(
            255,
            format!("ERROR: no command specified\n{}", overview()),
        ));
    };
    let Some(verb) = VERBS.iter().find(|known| known.spec.name == verb) else {
        return Err(Failure::new(
            255,
            format!("ERROR: unknown command 'pct {verb}'\n{}", overview()),
        ));
    };
    let host = Host::find();
    if !rustix::process::geteuid().is_root() && host.is_real() {
        return Err(Failure::new(255, "please run as root"));
    }
    let call = args::parse(&verb.spec, rest)?;
    (verb.run)(&host, &call)
}

struct Verb {
    spec: args::Spec,
    run: fn(&Host, &args::Call) -> Outcome,
}

fn overview() -> String {
    let mut text = "USAGE: pct <COMMAND> [ARGS] [OPTIONS]\n".to_owned();
    for verb in &VERBS {
        text.push_str(&format!("       {}\n", verb.spec.usage()));
    }
    text
}

static VERBS: [Verb; 18] = [
    Verb {
        spec: args::LIST,
        run: show::list,
    },
    Verb {
        spec: args::STATUS,
        run: show::status,
    },
    Verb {
        spec: args::CONFIG,
        run: show::config,
    },
    Verb {
        spec: args::PENDING,
        run: show::pending,
    },
    Verb {
        spec: args::START,
        run: power::start,
    },
    Verb {
        spec: args::STOP,
        run: power::stop,
    },
    Verb {
        spec: args::SHUTDOWN,
        run: power::shutdown,
    },
    Verb {
        spec: args::REBOOT,
        run: power::reboot,
    },
    Verb {
        spec: args::EXEC,
        run: exec::exec,
    },
    Verb {
        spec: args::ENTER,
        run: exec::enter,
    },
    Verb {
        spec: args::PUSH,
        run: transfer::push,
    },
    Verb {
        spec: args::PULL,
        run: transfer::pull,
    },
    Verb {
        spec: args::SET,
        run: set::set,
    },
    Verb {
        spec: args::UNLOCK,
        run: set::unlock,
    },
    Verb {
        spec: args::SNAPSHOT,
        run: snapshot::take,
    },
    Verb {
        spec: args::LISTSNAPSHOT,
        run: snapshot::list,
    },
    Verb {
        spec: args::ROLLBACK,
        run: snapshot::rollback,
    },
    Verb {
        spec: args::DELSNAPSHOT,
        run: snapshot::delete,
    },
];
