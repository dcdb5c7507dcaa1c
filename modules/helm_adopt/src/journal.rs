//! What the steps leave for the report and for putting things back.

use crate::export::Export;
use crate::params::ReleaseId;

/// What was done on the way.
#[derive(Default)]
pub struct Journal {
    pub(crate) export: Option<Export>,
    /// Whether anything was asked of the cluster that changes it.
    pub(crate) touched: bool,
    /// The chart whose policy is ours, and not yet put back.
    pub(crate) guarded: Option<ReleaseId>,
}
