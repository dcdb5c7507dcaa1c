//! What `lab fault` does to certificates and kubeconfigs. It is a program of its own, put into a container when it is
//! needed: k3s has no such command, and what it does to files works on a real k3s as well.

mod certificates;
mod kept;
mod kubeconfig;

use crate::paths;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::PathBuf;

pub fn run(arguments: &[String]) -> u8 {
    match dispatch(arguments) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("lab-certificates: {error:#}");
            1
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["expire", days, what] => {
            let days = days
                .parse()
                .with_context(|| format!("reading the days {days:?}"))?;
            certificates::expire(&data_dir(), days, what, &stdin()?)
        }
        ["bundle"] => {
            println!("{}", crate::pki::layout::bundle(&data_dir().join("server/tls"))?);
            Ok(())
        }
        ["kubeconfig", "none"] => kept::restore(Some(&kubeconfig::path()?)),
        ["kubeconfig", what] => kubeconfig::damage(what),
        ["restore"] => kept::restore(None),
        other => bail!("there is no {:?}", other.join(" ")),
    }
}

fn data_dir() -> PathBuf {
    std::env::var_os("K3S_DATA_DIR").map_or_else(|| paths::DATA_DIR.into(), PathBuf::from)
}

fn stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("reading stdin")?;
    Ok(text)
}
