//! How k3s is installed on a node: its unit, environment and configuration files, what follows from them together, and
//! the scripts by which modules read and change them there.

pub mod changes;
pub mod config;
pub mod env_file;
pub mod facts;
mod files;
mod keep;
mod node_settings;
pub mod probe;
pub mod program;
#[cfg(feature = "testing")]
pub mod recorded;
pub mod settings;
pub mod setup;
pub mod shared;
pub mod unit;
mod units;
pub mod words;

pub use changes::Changes;
pub use config::Config;
pub use facts::{Facts, Show};
pub use k3s_types::{Role, flags};
pub use keep::keep;
pub use node_settings::NodeSettings;
pub use probe::Probe;
pub use program::Program;
pub use settings::Settings;
pub use setup::Setup;
pub use units::{LaunchConfig, UnitFiles, Units};

/// Where modules keep on the node what has to outlive them.
pub const FOLDER: &str = "/var/lib/homelab-k3s";
