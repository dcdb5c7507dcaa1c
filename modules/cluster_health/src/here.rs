//! Where the server that is asked has its files, and which unit runs its k3s: by its own settings, unless somebody says otherwise.

use crate::params::{Params, Scope};
use host::Host;
use k3s_certs::rotation::Paths;
use k3s_node::NodeSettings;

pub(crate) struct Here {
    /// None: not looked at, or not to be had; then what asks the API says why.
    node: Option<NodeSettings>,
    pub(crate) paths: Paths,
}

impl Here {
    /// A visit, which is spared where nothing turns on it.
    pub(crate) fn look(params: &Params, host: &dyn Host) -> Self {
        let is_needed = params.data_dir.is_none() && params.scope != Scope::Servers;
        let node = is_needed.then(|| NodeSettings::look(host).ok()).flatten();
        let mut paths = node
            .as_ref()
            .map_or_else(Paths::default, |node| Paths::of_node(node, None, None));
        paths.data_dir = params.data_dir.clone().unwrap_or(paths.data_dir);
        Self { node, paths }
    }

    /// The unit, which is asked for where the API does not answer.
    pub(crate) fn service(&self, params: &Params, host: &dyn Host) -> String {
        let looked = match (&params.service, &self.node) {
            (None, None) => NodeSettings::look(host).ok(),
            _ => None,
        };
        let unit = self
            .node
            .as_ref()
            .or(looked.as_ref())
            .and_then(NodeSettings::unit);
        let own = unit.map(|(name, _)| name.trim_end_matches(".service").to_owned());
        let service = params.service.clone().or(own);
        service.unwrap_or_else(|| "k3s".to_owned())
    }
}
