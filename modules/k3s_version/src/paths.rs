//! Where on the node things are: asked at the usual paths first, then at those that the answer names.

use crate::arguments::Arguments;
use crate::params::Params;
use k3s_node::NodeSettings;
use k3s_node::settings::{DEFAULT_CONFIG, DEFAULT_DATA, DEFAULT_KUBECONFIG};
use k3s_node::shared::Said;

/// Where on the node things are. It follows from what is read there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// Empty: the host's name, which is not known yet.
    pub(crate) node: String,
    pub(crate) config: String,
    pub(crate) data: String,
    pub(crate) kubeconfig: String,
    pub(crate) kubelet_file: String,
    pub(crate) kubelet_folder: String,
    pub(crate) proxy_file: String,
}

impl Paths {
    /// Where they are on most nodes; without a name the node is asked for that of its host.
    pub(crate) fn usual(params: &Params) -> Self {
        Self {
            node: params.node_name.clone().unwrap_or_default(),
            config: DEFAULT_CONFIG.to_owned(),
            data: DEFAULT_DATA.to_owned(),
            kubeconfig: DEFAULT_KUBECONFIG.to_owned(),
            kubelet_file: String::new(),
            kubelet_folder: String::new(),
            proxy_file: String::new(),
        }
    }

    pub(crate) fn of(params: &Params, node: &NodeSettings) -> Self {
        let (settings, arguments) = (node.settings(), arguments(node));
        let file = |component, name| arguments.value(component, name).unwrap_or_default().to_owned();
        Self {
            node: params.node_name.clone().unwrap_or_else(|| node.node_name()),
            config: node.named_config(),
            data: settings.data_dir(),
            kubeconfig: settings.kubeconfig(),
            kubelet_file: file("kubelet", "config"),
            kubelet_folder: file("kubelet", "config-dir"),
            proxy_file: file("kube-proxy", "config"),
        }
    }
}

/// What the operator hands on to components.
pub(crate) fn arguments(node: &NodeSettings) -> Arguments {
    Arguments::of(&Said {
        args: &node.launch.args,
        config: &node.config,
    })
}
