//! The certificates of a k3s cluster: reading them from PEM, judging them at a time, and renewing those of a node.
//!
//! What is read comes from nodes and from users' files and is not trusted: it is bounded, and an error names the file
//! or the field. Private keys are only ever compared; none is kept, shown or returned.

mod certificate;
mod chain;
mod found;
mod key;
mod name;
mod pem;
pub mod rotation;
#[cfg(feature = "testing")]
pub mod testing;

pub use certificate::{Certificate, Standing, rfc3339};
pub use chain::chains_to;
pub use found::{All, Fault, Found};
pub use key::belongs;
pub use pem::{base64, certificates};
