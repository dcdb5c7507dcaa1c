//! Whose an entry is: by what issues a cluster's certificates, never by a name, an address or a root above it.

use super::super::view::Document;
use super::*;
use crate::credentials::Authorities;
use crate::kubeconfig::Kubeconfig;
use crate::samples::{Cluster, admin, data, one, user};
use k3s_certs::testing::{Authority, Leaf};

const NAME: &str = "k3s-k3s-1";
const SERVER: &str = "https://k3s-1:6443";

/// A cluster whose authorities are below one that it shares with others.
struct Branch {
    cluster: Cluster,
    bundle: String,
}

fn below(above: &Authority, name: &str) -> Authority {
    above.below(&Leaf::new(name).days(-1, 3650))
}

impl Branch {
    /// Below a root with an authority of its own between. The names of the authorities are the same in each branch.
    fn of(root: &Authority) -> Self {
        Self::with(&below(root, "intermediate"), root)
    }

    fn with(intermediate: &Authority, root: &Authority) -> Self {
        let cluster = Cluster {
            servers: below(intermediate, "servers"),
            clients: below(intermediate, "clients"),
        };
        Self {
            bundle: data(cluster.servers.pem.clone() + &intermediate.pem + &root.pem),
            cluster,
        }
    }

    fn kubeconfig(&self, name: &str, server: &str) -> String {
        let cluster = format!(
            "{{certificate-authority-data: {}, server: \"{server}\"}}",
            self.bundle
        );
        one(name, &cluster, &self.cluster.user(&admin()))
    }

    fn credentials(&self, server: &str) -> Credentials {
        let text = self.kubeconfig("default", server);
        Credentials::read(text.as_bytes(), "k3s.yaml", &Authorities::default()).unwrap()
    }
}

fn view(text: &str) -> View {
    View {
        dest: Kubeconfig::parse(text.as_bytes())
            .unwrap()
            .map(|config| Document {
                path: "/home/user/.kube/config".to_owned(),
                config,
            }),
        ..View::default()
    }
}

fn sources<'a>(view: &'a View, ours: &'a Credentials) -> Sources<'a> {
    Sources {
        view,
        ours,
        name: NAME,
        keep_address: false,
        replace: false,
    }
}

/// What a merge left of an entry that it was not to touch.
fn assert_untouched(view: &View, merged: &Merged, name: &str) {
    let before = &view.dest.as_ref().unwrap().config;
    for kind in Kind::ALL {
        assert!(before.has(kind, name), "{kind:?} {name}");
        assert_eq!(
            before.entry(kind, name),
            merged.config.entry(kind, name),
            "{kind:?} {name}"
        );
    }
}

/// The address of each cluster.
fn addresses(merged: &Merged) -> Vec<(String, String)> {
    let names = merged.config.names(Kind::Cluster).into_iter();
    let address = |name: &str| {
        let map = merged.config.entry(Kind::Cluster, name).unwrap();
        map.text("server").unwrap().to_owned()
    };
    names.map(|name| (name.to_owned(), address(name))).collect()
}

#[test]
fn a_cluster_below_the_same_root_is_another_one() {
    let root = Authority::new("root");
    let shared = below(&root, "intermediate");
    let ours = Branch::with(&shared, &root).credentials(SERVER);
    // Even at the very address, under the very name, and below the same authority between.
    for (office, name, server) in [
        (Branch::of(&root), "office", "https://office:6443"),
        (Branch::of(&root), "office", SERVER),
        (Branch::with(&shared, &root), "office", SERVER),
        (Branch::with(&shared, &root), NAME, SERVER),
    ] {
        let view = view(&office.kubeconfig(name, server));
        let merged = merge(sources(&view, &ours));
        assert_untouched(&view, &merged, name);
        assert_eq!(merged.config.names(Kind::Cluster).len(), 2, "{name}");
        assert_eq!(merged.server, SERVER);
        assert!(!has_credentials(&view, &ours));
    }
}

#[test]
fn the_administrator_of_a_cluster_below_the_same_root_is_another_one() {
    let root = Authority::new("root");
    let (office, home) = (Branch::of(&root), Branch::of(&root));
    let ours = home.credentials(SERVER);
    // Two contexts share a user by mistake: it is the office's, by the signature alone.
    let home_entry = format!(
        "{{certificate-authority-data: {}, server: \"{SERVER}\"}}",
        home.bundle
    );
    let text = format!(
        "clusters: [{{name: home, cluster: {home_entry}}}, {{name: office, cluster: {{server: \"https://office:6443\"}}}}]\n\
         contexts: [{{name: home, context: {{cluster: home, user: admin}}}}, {{name: office, context: {{cluster: office, user: admin}}}}]\n\
         users: [{{name: admin, user: {}}}]\n",
        office.cluster.user(&admin())
    );
    let view = view(&text);
    let merged = merge(sources(&view, &ours));
    let before = &view.dest.as_ref().unwrap().config;
    assert_eq!(
        before.entry(Kind::User, "admin"),
        merged.config.entry(Kind::User, "admin")
    );
    let context = merged.config.entry(Kind::Context, "home").unwrap();
    assert_eq!(context.text("user"), Some(NAME));
}

#[test]
fn a_user_without_a_context_keeps_the_key_of_another_cluster() {
    let (ours, other) = (Cluster::new(1), Cluster::new(2));
    let signed = other.clients.sign(&admin());
    let text = format!(
        "users: [{{name: {NAME}, user: {}}}]\n",
        user(&data(signed.pem), &data(signed.key_pem))
    );
    let (view, ours) = (view(&text), ours.credentials(SERVER, &admin()));
    let merged = merge(sources(&view, &ours));
    let before = &view.dest.as_ref().unwrap().config;
    assert_eq!(
        before.entry(Kind::User, NAME),
        merged.config.entry(Kind::User, NAME)
    );
    assert!(merged.config.has(Kind::User, "k3s-k3s-1-2"));
}

#[test]
fn a_loopback_address_proves_nothing() {
    let (ours, other) = (Cluster::new(1), Cluster::new(2));
    let loopback = "https://127.0.0.1:6443";
    let ours = ours.credentials(loopback, &admin());
    let desktop = view(&other.kubeconfig("rancher-desktop", loopback, &admin()));
    let merged = merge(sources(&desktop, &ours));
    assert_untouched(&desktop, &merged, "rancher-desktop");
    assert!(merged.config.has(Kind::Cluster, NAME));
    // Nor does it where there is no authority beside it.
    let bare = view(&format!(
        "clusters: [{{name: tunnel, cluster: {{server: \"{loopback}\", insecure-skip-tls-verify: true}}}}]\n"
    ));
    assert!(!has_credentials(&bare, &ours));
}

#[test]
fn several_addresses_of_one_cluster_stay_several() {
    let cluster = Cluster::new(1);
    let entry = |address: &str| cluster.cluster(address);
    let clusters = |own: &str| {
        format!(
            "clusters: [{{name: vip, cluster: {}}}, {{name: tailnet, cluster: {}}}, {{name: {own}, cluster: {}}}]\n\
             contexts: [{{name: vip, context: {{cluster: vip, user: admin}}}}]\nusers: [{{name: admin, user: {}}}]\n",
            entry("https://192.0.2.10:6443"),
            entry("https://k3s.tail.example.net:6443"),
            entry("https://k3s-9:6443"),
            cluster.user(&admin().days(-400, -35))
        )
    };
    let ours = cluster.credentials(SERVER, &admin());
    let expected = |own: &str, server: &str| {
        [
            ("vip", "https://192.0.2.10:6443"),
            ("tailnet", "https://k3s.tail.example.net:6443"),
            (own, server),
        ]
        .map(|(name, server)| (name.to_owned(), server.to_owned()))
    };
    for (own, server) in [(NAME, SERVER), ("server", "https://k3s-9:6443")] {
        let view = view(&clusters(own));
        let merged = merge(sources(&view, &ours));
        assert_eq!(addresses(&merged), expected(own, server));
        // The credentials are renewed for all of them, and the context says where it leads.
        assert_eq!(
            (merged.context.as_str(), merged.server.as_str()),
            ("vip", "https://192.0.2.10:6443")
        );
        let admin = merged.config.entry(Kind::User, "admin").unwrap();
        assert_eq!(
            admin.text("client-certificate-data"),
            Some(ours.chain_data.as_str())
        );
        assert_eq!(address_to_try(&view, &ours, NAME), None);
    }
}

#[test]
fn the_only_address_is_changed_unless_it_answers_or_somebody_made_a_route_to_it() {
    let cluster = Cluster::new(1);
    let ours = cluster.credentials(SERVER, &admin());
    let vip = "https://192.0.2.10:6443";
    let changed = |text: &str, keep_address: bool| {
        let view = view(text);
        let merged = merge(Sources {
            keep_address,
            ..sources(&view, &ours)
        });
        assert_eq!(merged.server, addresses(&merged)[0].1);
        merged.server == SERVER
    };
    let plain = cluster.kubeconfig("default", vip, &admin());
    assert!(changed(&plain, false) && !changed(&plain, true));
    assert_eq!(address_to_try(&view(&plain), &ours, NAME).as_deref(), Some(vip));
    for route in ["proxy-url: \"socks5://localhost:1080\"", "tls-server-name: k3s-1"] {
        let routed = plain.replacen(
            "certificate-authority-data",
            &format!("{route}, certificate-authority-data"),
            1,
        );
        assert!(!changed(&routed, false), "{route}");
        assert_eq!(address_to_try(&view(&routed), &ours, NAME), None);
    }
    // What is called as ours are is ours to change, whatever answers there.
    let named = cluster.kubeconfig(NAME, vip, &admin());
    assert!(changed(&named, true));
    assert_eq!(address_to_try(&view(&named), &ours, NAME), None);
    let settled = cluster.kubeconfig("default", "https://K3S-1:6443/", &admin());
    assert_eq!(address_to_try(&view(&settled), &ours, NAME), None);
}

#[test]
fn a_cluster_that_was_set_up_anew_replaces_its_entry_when_asked_to() {
    let (ours, former) = (Cluster::new(2), Cluster::new(1));
    let ours = ours.credentials(SERVER, &admin());
    let view = view(&former.kubeconfig(NAME, SERVER, &admin()));
    assert_eq!(lookalike(&view, &ours, NAME), Some(NAME));
    let merged = merge(Sources {
        replace: true,
        ..sources(&view, &ours)
    });
    for kind in Kind::ALL {
        assert_eq!(merged.config.names(kind), [NAME], "{kind:?}");
    }
    let user = merged.config.entry(Kind::User, NAME).unwrap();
    assert_eq!(
        user.text("client-certificate-data"),
        Some(ours.chain_data.as_str())
    );
}

#[test]
fn only_what_could_be_mistaken_for_this_cluster_is_a_lookalike() {
    let (ours, other) = (Cluster::new(1), Cluster::new(2));
    let credentials = ours.credentials(SERVER, &admin());
    let found = |name: &str, server: &str| {
        let view = view(&other.kubeconfig(name, server, &admin()));
        lookalike(&view, &credentials, NAME).map(str::to_owned)
    };
    assert_eq!(found("default", SERVER).as_deref(), Some("default"));
    assert_eq!(found(NAME, "https://k3s-2:6443").as_deref(), Some(NAME));
    assert_eq!(found("default", "https://k3s-2:6443"), None);
    assert_eq!(
        lookalike(
            &view(&ours.kubeconfig(NAME, SERVER, &admin())),
            &credentials,
            NAME
        ),
        None
    );
}
