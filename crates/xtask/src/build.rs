//! cargo and the compiler: which platforms, and how a program for them becomes static.

use crate::repo::Repo;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Proxmox VE runs on x86-64 only. musl: runs on every distribution and in an empty chroot.
pub(crate) const PROXMOX: &str = "x86_64-unknown-linux-musl";

/// A panic ends the program at once, and nothing unwinds the C below it.
const C_WITHOUT_UNWINDING: &str = "-fno-asynchronous-unwind-tables -fno-unwind-tables";

/// What SQLite has for others: we copy and compare tables.
const WITHOUT_EXTENSIONS: &[&str] = &[
    "-USQLITE_ENABLE_DBSTAT_VTAB",
    "-USQLITE_ENABLE_FTS3",
    "-USQLITE_ENABLE_FTS3_PARENTHESIS",
    "-USQLITE_ENABLE_FTS5",
    "-USQLITE_ENABLE_LOAD_EXTENSION",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-USQLITE_ENABLE_RTREE",
    "-USQLITE_ENABLE_STAT4",
    "-USQLITE_SOUNDEX",
];

/// A platform to build for.
pub(crate) struct Target {
    pub triple: String,
    static_gnu: bool,
}

impl Target {
    /// The static kind where its standard library can be had, else glibc linked statically.
    pub(crate) fn available(triple: &str) -> Result<Self> {
        let (plain, gnu) = (triple.to_owned(), triple.replace("-musl", "-gnu"));
        if has_std(triple)? || (add_std(triple) && has_std(triple)?) {
            return Ok(Self {
                static_gnu: plain.ends_with("-linux-gnu"),
                triple: plain,
            });
        }
        ensure!(
            gnu != plain && has_std(&gnu)?,
            "building for {triple}: this Rust has no standard library for it; `rustup target add {triple}` gets it"
        );
        println!("no standard library for {triple}: {gnu}, linked statically, takes its place");
        Ok(Self {
            triple: gnu,
            static_gnu: true,
        })
    }

    /// The folder's name below `__bin__`: an architecture means Linux.
    pub(crate) fn platform(&self) -> String {
        platform(&self.triple)
    }

    /// Builds this package and answers where its program is. What `beside` names is built with it: packages that are built
    /// together have one set of features, so that a dependency of both is built once.
    pub(crate) fn build(&self, repo: &Repo, package: &str, beside: &[&str]) -> Result<PathBuf> {
        println!("building {package} for {}", self.triple);
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(&repo.root)
            .args([
                "build",
                "--release",
                "--message-format=json-render-diagnostics",
                "--target",
            ])
            .arg(&self.triple)
            .args(["--package", package])
            .args(beside.iter().flat_map(|other| ["--package", other]))
            .stdout(Stdio::piped());
        for name in set_by_cargo_run(std::env::vars_os().map(|(name, _)| name)) {
            cargo.env_remove(name);
        }
        for (name, value) in self.environment()? {
            cargo.env(name, value);
        }
        let output = cargo
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .context("running cargo")?;
        if !output.status.success() {
            bail!("building {package} for {} failed, see above", self.triple);
        }
        program(&String::from_utf8_lossy(&output.stdout), package)
            .with_context(|| format!("cargo made no program {package}"))
    }

    fn environment(&self) -> Result<Vec<(String, String)>> {
        let mut environment = Vec::new();
        let name = self.triple.replace('-', "_");
        let mut flags = vec![without_this_machine()?];
        if self.static_gnu {
            flags.push("-C target-feature=+crt-static".to_owned());
        }
        let flags_name = format!("CARGO_TARGET_{}_RUSTFLAGS", name.to_uppercase());
        environment.push((flags_name, flags.join(" ")));
        environment.push((format!("CFLAGS_{name}"), C_WITHOUT_UNWINDING.to_owned()));
        let mut sqlite = WITHOUT_EXTENSIONS.to_vec();
        let is_foreign = self.triple.ends_with("-linux-musl") && platform(&self.triple) != native_platform()?;
        let compiler = format!("CC_{name}");
        if self.triple.ends_with("-musl")
            && std::env::var_os(&compiler).is_none()
            && let Some(program) = glibc_compiler(&self.triple, is_foreign)?
        {
            environment.push((compiler, program));
            // By glibc's headers SQLite would call `open64` and the like, which musl does not have. On 64 bits they
            // are other names of `open` and the like, and nothing else.
            sqlite.push("-DSQLITE_DISABLE_LFS");
        }
        environment.push(("LIBSQLITE3_FLAGS".to_owned(), sqlite.join(" ")));
        let linker = format!("CARGO_TARGET_{}_LINKER", name.to_uppercase());
        if is_foreign && std::env::var_os(&linker).is_none() {
            // This machine's linker supports this machine only; Rust's own one supports all.
            environment.push((linker, "rust-lld".to_owned()));
        }
        Ok(environment)
    }
}

/// What `cargo run` says of xtask to this process. A crate's build script that asks for such a name of its own would run
/// again, and the crate be built again, whenever xtask is started by itself or by cargo in turn.
fn set_by_cargo_run(names: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let is_of_package = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    names.filter(is_of_package).collect()
}

/// Where cargo keeps the sources of crates differs by user, and a panic's message has it. cargo's own `trim-paths` is not
/// stable yet.
fn without_this_machine() -> Result<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME says where cargo keeps the sources of crates")?;
    Ok(format!("--remap-path-prefix={}=/cargo", home.display()))
}

/// What compiles the C of SQLite and ring where musl's own compiler is not at hand; Rust links it with musl.
fn glibc_compiler(triple: &str, is_foreign: bool) -> Result<Option<String>> {
    if !is_foreign {
        return Ok((!is_on_path("musl-gcc")).then(|| "cc".to_owned()));
    }
    let machine = triple.split('-').next().unwrap_or_default();
    let program = format!("{machine}-linux-gnu-gcc");
    ensure!(
        is_on_path(&program),
        "building for {triple}: there is no {program}; Debian has it in gcc-{}-linux-gnu, with libc6-dev of that machine",
        machine.replace('_', "-")
    );
    Ok(Some(program))
}

/// The platforms of a plain `cargo xtask install`.
pub(crate) fn default_triples() -> Result<Vec<String>> {
    let native_static = native_static()?;
    let mut triples = vec![PROXMOX.to_owned()];
    if native_static != PROXMOX {
        triples.push(native_static);
    }
    Ok(triples)
}

/// This machine's platform, of the static kind.
pub(crate) fn native_static() -> Result<String> {
    Ok(native_triple()?.replace("-linux-gnu", "-linux-musl"))
}

/// The platform that this runs on, as the folder below `__bin__` is named.
pub(crate) fn native_platform() -> Result<String> {
    native_triple().map(|triple| platform(&triple))
}

fn platform(triple: &str) -> String {
    let machine = triple.split('-').next().unwrap_or_default();
    match triple {
        triple if triple.contains("-linux-") => machine.to_owned(),
        triple if triple.contains("-darwin") => format!("darwin_{machine}"),
        triple if triple.contains("-freebsd") => format!("freebsd_{machine}"),
        _ => triple.replace('-', "_"),
    }
}

fn native_triple() -> Result<String> {
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

fn has_std(triple: &str) -> Result<bool> {
    let folder = rustc(&["--print", "target-libdir", "--target", triple])?;
    Ok(Path::new(folder.trim()).is_dir())
}

fn add_std(triple: &str) -> bool {
    let added = Command::new("rustup").args(["target", "add", triple]).status();
    added.is_ok_and(|status| status.success())
}

pub(crate) fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc")
        .args(arguments)
        .output()
        .context("running rustc")?;
    ensure!(
        output.status.success(),
        "rustc {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The program of this name that cargo says it has made.
fn program(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let executable = message.get("executable")?.as_str()?;
        (message.get("target")?.get("name")?.as_str()? == name).then(|| PathBuf::from(executable))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_named_as_the_action_plugin_expects() {
        assert_eq!(platform("x86_64-unknown-linux-musl"), "x86_64");
        assert_eq!(platform("aarch64-unknown-linux-gnu"), "aarch64");
        assert_eq!(platform("aarch64-apple-darwin"), "darwin_aarch64");
        assert_eq!(platform("x86_64-unknown-freebsd"), "freebsd_x86_64");
    }

    #[test]
    fn only_what_cargo_run_says_of_a_package_is_removed() {
        let names = [
            "CARGO",
            "CARGO_HOME",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "PATH",
        ];
        let removed = set_by_cargo_run(names.map(OsString::from).into_iter());
        assert_eq!(removed, ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"]);
    }

    #[test]
    fn a_program_is_found_in_what_cargo_says() {
        let said = r#"{"reason":"compiler-artifact","target":{"name":"host","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"pct_exec","kind":["bin"]},"executable":"/t/pct_exec"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(program(said, "pct_exec"), Some(PathBuf::from("/t/pct_exec")));
        assert_eq!(program(said, "host"), None);
    }
}
