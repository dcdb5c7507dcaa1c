//! The parsers, each on its own.

use crate::{HostileHost, SEPARATOR};
use cluster::{
    ApiGroups, Budget, Chart, Claim, CordonRecord, Job, Kubectl, LabelSelector, Lease, List, Node, Object,
    PersistentVolume, Pod, Reported, Selector, api_version,
};
use host::pct;
use k3s_certs::{All, Certificate};
use k3s_node::unit::Unit;
use k3s_node::{Config, Facts, NodeSettings, Show, Units, env_file, words};
use k3s_types::{K3sVersion, mask};
use prost::Message as _;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, SystemTime};
use yaml_tree::{Format, Node as Yaml, first_document, parse, to_text};

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

pub(crate) fn versions(input: &[u8]) {
    let text = text(input);
    let lines = text.lines().filter_map(|line| line.parse::<K3sVersion>().ok());
    let versions: Vec<K3sVersion> = lines.take(8).collect();
    for version in &versions {
        assert_eq!(version.to_string().parse().as_ref(), Ok(version));
        for other in &versions {
            assert_eq!(version.cmp(other), other.cmp(version).reverse());
            black_box(version.hop_to(other));
        }
    }
    let _ = K3sVersion::from_version_output(&text);
    black_box(k3s_types::builds::numbers(&text));
    black_box(api_version(&text));
    black_box(mask::arguments(std::slice::from_ref(&text)));
    black_box(mask::scrub(&text, &["secret".to_owned()]));
    black_box(mask::log_line(&text));
    black_box(mask::address(&text));
}

/// What was read is written so that it reads back the same.
pub(crate) fn yaml(input: &[u8]) {
    let text = text(input);
    for read in [parse(&text), first_document(&text)] {
        black_box(read.is_ok());
    }
    if let Ok(Some(Yaml::Map(map))) = parse(&text) {
        for format in [Format::Yaml, Format::of(&text)] {
            let written = to_text(&map, format);
            let again = parse(&written).unwrap_or_else(|error| panic!("{error:#}: {written:?}"));
            let again = again.unwrap_or(Yaml::Map(yaml_tree::Map::default()));
            assert_eq!(again, Yaml::Map(map.clone()), "{written:?}");
        }
    }
}

pub(crate) fn config(input: &[u8]) {
    let text = text(input);
    let config = Config::read([("a", text.as_str()), ("b", text.as_str())].into_iter());
    black_box(config.keys().count());
}

pub(crate) fn pem(input: &[u8]) {
    let now = SystemTime::UNIX_EPOCH;
    let read = k3s_certs::certificates(input, "a file").unwrap_or_default();
    let certificates = read.into_iter().chain(Certificate::from_der(input));
    let certificates: Vec<Certificate> = certificates.take(4).collect();
    let _ = k3s_certs::chains_to(&certificates, &certificates);
    for certificate in &certificates {
        black_box(certificate.standing(now, Duration::from_secs(1)));
        black_box((certificate.days_left(now), certificate.not_after_rfc3339()));
        let _ = k3s_certs::belongs(input, "a file", certificate);
    }
    let mut all = All::default();
    all.pem("a file", None, input);
    all.field("a file", "an entry", &text(input));
}

pub(crate) fn unit(input: &[u8]) {
    let text = text(input);
    let unit = Unit::parse(&text);
    if let Ok(Some(command)) = unit.exec_start() {
        for word in &command.words {
            assert_kept(word);
        }
        let environment = env_file::parse(&text);
        black_box(words::expand(&command.words, &environment));
    }
    black_box((
        unit.runs(),
        unit.environment_files("k3s.service"),
        unit.environment(),
    ));
    black_box(unit.operators_lines("k3s.service"));
    let _ = words::split(&text);
}

/// What the install script makes of a word is the same word to systemd. The script collapses blanks, and quotes.
fn assert_kept(word: &str) {
    if word.contains('\0') {
        return;
    }
    let given = words::for_script(word);
    let blanks = [' ', '\t', '\n'];
    let parts = given.split(blanks).filter(|part| !part.is_empty());
    let collapsed = parts.collect::<Vec<_>>().join(" ");
    let line = format!("'{}'", collapsed.replace('\'', "'\\''"));
    assert_eq!(words::split(&line), Ok(vec![word.to_owned()]), "{line}");
}

/// What was read is written so that it reads back the same.
pub(crate) fn env_file(input: &[u8]) {
    let variables = env_file::parse(&text(input));
    let written = env_file::render(&variables);
    assert_eq!(env_file::parse(&written), variables, "{written:?}");
}

pub(crate) fn facts(input: &[u8]) {
    let shows = Show::parse(&text(input));
    black_box(shows.len());
    let Ok(facts) = Facts::parse_all(input) else {
        return;
    };
    let _ = Units::read(&facts);
    let _ = NodeSettings::read(&facts, "/etc/rancher/k3s/config.yaml");
    let texts: Vec<String> = facts.below("").into_iter().map(|(_, text)| text).collect();
    for text in &texts {
        black_box(k3s_node::facts::rfc3339(text));
        black_box(k3s_node::facts::own_addresses(text, text).len());
    }
}

fn json<T: DeserializeOwned>(input: &[u8]) -> Option<T> {
    serde_json::from_slice(input).ok()
}

pub(crate) fn kubectl(input: &[u8]) {
    let now = SystemTime::UNIX_EPOCH;
    let program = cluster::k3s_kubectl();
    let host = HostileHost::new(input);
    let kubectl = Kubectl {
        host: &host,
        program: &program,
        request_timeout: Duration::from_secs(1),
    };
    let _ = kubectl.list::<Object>(cluster::pages("/api/v1/pods"));
    let pods = json::<List<Pod>>(input)
        .map(|list| list.items)
        .unwrap_or_default();
    let budgets = json::<List<Budget>>(input)
        .map(|list| list.items)
        .unwrap_or_default();
    for pod in &pods {
        black_box(pod.is_ready());
        black_box(budgets.iter().filter(|budget| budget.keeps(pod)).count());
    }
    for node in json::<List<Node>>(input)
        .map(|list| list.items)
        .unwrap_or_default()
    {
        black_box(node.is_ready());
    }
    black_box(json::<List<Job>>(input).is_some());
    black_box(json::<List<Chart>>(input).is_some());
    black_box(json::<List<Claim>>(input).is_some());
    black_box(json::<List<PersistentVolume>>(input).is_some());
    black_box(json::<ApiGroups>(input).is_some());
    black_box(json::<LabelSelector>(input).is_some());
    if let Some(lease) = json::<Lease>(input) {
        black_box((lease.silence(now), lease.is_alive(now)));
    }
    let text = text(input);
    if let Ok(selector) = Selector::parse(&text) {
        black_box(selector.selects(&BTreeMap::new()));
    }
    black_box(CordonRecord::parse(&text));
    black_box(Reported::parse(&text).is_some());
    black_box(api_version(&text));
}

pub(crate) fn pct(input: &[u8]) {
    let config = pct::Config::parse(&text(input));
    black_box((config.is_unprivileged(), config.has_feature("nesting")));
    let _ = pct::status(&HostileHost::new(input), 101);
    let _ = pct::is_free(&HostileHost::new(input), 101);
    let _ = pct::snapshots(&HostileHost::new(input), 101);
    let _ = pct::config(&HostileHost::new(input), 101);
    black_box(pct::elsewhere(&HostileHost::new(input), 101).is_some());
    black_box(pct::seen_running(&HostileHost::new(input), 101));
}

/// Messages as bytes, and what our own program prints about them inside, as JSON.
pub(crate) fn etcd(input: &[u8]) {
    use etcd_api::proto::{Event, KeyValue, Member, ResponseHeader};
    black_box(KeyValue::decode(input).is_ok());
    black_box(Event::decode(input).is_ok());
    black_box(ResponseHeader::decode(input).is_ok());
    if let Ok(member) = Member::decode(input) {
        assert_eq!(
            Member::decode(member.encode_to_vec().as_slice()).ok(),
            Some(member)
        );
    }
    for part in input.split(|byte| *byte == SEPARATOR) {
        black_box(etcd_api::endpoint(Some(&text(part))));
    }
}
