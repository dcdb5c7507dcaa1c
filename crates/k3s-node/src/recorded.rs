//! Units as the install script of July 2026 writes them.

pub const SERVER: &str = include_str!("../tests/recorded/script-2026-07-k3s.service");
pub const AGENT: &str = include_str!("../tests/recorded/script-2026-07-k3s-agent.service");
