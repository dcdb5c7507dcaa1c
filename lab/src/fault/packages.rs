//! Which distribution a container says that it is, and troubles of its stand-in package manager (`files/packages.sh`).

use crate::container::exec;
use crate::layout::Node;
use anyhow::{Context as _, Result};
use clap::ValueEnum;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Release {
    Rocky9,
    Rocky10,
    Debian12,
    Debian13,
    /// No systemd distribution: what a refusal is tried on
    Alpine,
    /// As the template is
    None,
}

impl Release {
    /// The lines of `/etc/os-release` that programs read, as the distributions publish them.
    const fn file(self) -> &'static str {
        match self {
            Self::Rocky9 => {
                "NAME=\"Rocky Linux\"\nVERSION=\"9.6 (Blue Onyx)\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n\
                 VERSION_ID=\"9.6\"\nPLATFORM_ID=\"platform:el9\"\nPRETTY_NAME=\"Rocky Linux 9.6 (Blue Onyx)\"\n"
            }
            Self::Rocky10 => {
                "NAME=\"Rocky Linux\"\nVERSION=\"10.0 (Red Quartz)\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n\
                 VERSION_ID=\"10.0\"\nPLATFORM_ID=\"platform:el10\"\nPRETTY_NAME=\"Rocky Linux 10.0 (Red Quartz)\"\n"
            }
            Self::Debian12 => {
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n\
                 VERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n"
            }
            Self::Debian13 => {
                "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\n\
                 VERSION=\"13 (trixie)\"\nVERSION_CODENAME=trixie\nID=debian\n"
            }
            Self::Alpine => {
                "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.22.1\nPRETTY_NAME=\"Alpine Linux v3.22\"\n"
            }
            Self::None => "",
        }
    }

    const fn programs(self) -> &'static str {
        match self {
            Self::Rocky9 | Self::Rocky10 => "dnf rpm",
            Self::Debian12 | Self::Debian13 | Self::None => "apt-get",
            Self::Alpine => "",
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Trouble {
    Lock,
    Offline,
    Missing,
    Hang,
    None,
}

impl Trouble {
    const fn word(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Offline => "offline",
            Self::Missing => "missing",
            Self::Hang => "hang",
            Self::None => "",
        }
    }
}

/// The file is replaced where the symlink `/etc/os-release` leads; what the template has is kept beside it.
const PRETEND: &str = "set -e
cd /usr/lib
[ -e os-release.lab ] || cp -a os-release os-release.lab
cat > os-release.new
if [ -s os-release.new ]; then mv os-release.new os-release; else rm os-release.new; mv os-release.lab os-release; fi
rm -f /usr/bin/apt-get /usr/bin/dnf /usr/bin/rpm
for program in \"$@\"; do ln -s ../local/lib/lab/packages /usr/bin/$program; done
";

pub(super) const REPAIR: &str = "rm -f /etc/lab/packages-trouble
if [ -e /usr/lib/os-release.lab ]; then
  mv /usr/lib/os-release.lab /usr/lib/os-release
  rm -f /usr/bin/dnf /usr/bin/rpm
  ln -sf ../local/lib/lab/packages /usr/bin/apt-get
fi
";

pub(super) fn pretend(node: &Node, release: Release) -> Result<()> {
    let mut argv = vec!["sh", "-c", PRETEND, "pretend"];
    argv.extend(release.programs().split_whitespace());
    exec(node, argv)
        .stdin(release.file())
        .run()
        .map(drop)
        .with_context(|| format!("giving container {} another os-release", node.vmid))
}

pub(super) fn trouble(node: &Node, what: Trouble) -> Result<()> {
    let script = "if [ -n \"$1\" ]; then echo \"$1\" > /etc/lab/packages-trouble; else rm -f /etc/lab/packages-trouble; fi";
    exec(node, ["sh", "-c", script, "trouble", what.word()])
        .run()
        .map(drop)
}
