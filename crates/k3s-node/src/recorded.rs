//! Units as the install script of v1.21.2 wrote them.

pub const SERVER: &str = include_str!("../tests/recorded/k3s-1.21.2-k3s.service");
pub const AGENT: &str = include_str!("../tests/recorded/k3s-1.21.2-k3s-agent.service");
