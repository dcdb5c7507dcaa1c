//! Keeping secrets out of what is shown: arguments and variables by their names, foreign output by the values.

use crate::flags;

const MASK: &str = "********";
/// A shorter value would make stars of ordinary text.
const SHORTEST: usize = 4;

/// The flags of k3s whose values are secret. The endpoint holds a database's password; `t` is short for `token`. A flag may speak of
/// secrets and hold none: a switch, an algorithm, the name of a Secret or of a file.
const SECRET: [&str; 8] = [
    "agent-token",
    "datastore-endpoint",
    "etcd-s3-access-key",
    "etcd-s3-secret-key",
    "etcd-s3-session-token",
    "t",
    "token",
    "vpn-auth",
];

/// Whether the value of a flag or variable is secret. The words in a name say so that is not a flag of k3s: a variable, a flag of a
/// component, a word of a log.
pub fn is_secret(name: &str) -> bool {
    let name = name
        .trim_start_matches('-')
        .trim_end_matches('+')
        .to_ascii_lowercase()
        .replace('_', "-");
    if flags::is_known(&name) {
        return SECRET.contains(&name.as_str());
    }
    let secret_words = [
        "token",
        "secret",
        "password",
        "datastore-endpoint",
        "kine-endpoint",
        "vpn-auth",
        "access-key",
    ];
    !name.ends_with("-file") && secret_words.iter().any(|word| name.contains(word))
}

/// Arguments as they may be shown: `--token ********`, `--token=********`.
pub fn arguments(words: &[String]) -> Vec<String> {
    let mut masked = Vec::new();
    let mut value_follows = false;
    for word in words {
        masked.push(match word.split_once('=') {
            _ if value_follows && !word.starts_with('-') => MASK.to_owned(),
            Some((flag, _)) if flag.starts_with('-') && is_secret(flag) => format!("{flag}={MASK}"),
            _ => without_login(word).unwrap_or_else(|| word.clone()),
        });
        value_follows = word.starts_with('-') && !word.contains('=') && is_secret(word);
    }
    masked
}

/// A variable's value as it may be shown.
pub fn variable(key: &str, value: &str) -> String {
    if is_secret(key) {
        MASK.to_owned()
    } else {
        without_login(value).unwrap_or_else(|| value.to_owned())
    }
}

/// Why an option that is an address may hold no login.
pub const LOGIN_REFUSED: &str =
    "has a login in it, which would show in logs and lists of processes: name an address that needs none";

/// Whether an address has a user or a password in it.
pub fn has_login(text: &str) -> bool {
    let address = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = address.split(['/', '?', '#']).next();
    host.is_some_and(|host| host.contains('@'))
}

/// An address as it may be shown: without the login in it.
pub fn address(text: &str) -> String {
    without_login(text).unwrap_or_else(|| text.to_owned())
}

/// An address without its login: that of a proxy or a registry. None: it has none.
fn without_login(word: &str) -> Option<String> {
    let (scheme, rest) = word.split_once("://")?;
    let (_, address) = rest.rsplit_once('@')?;
    Some(format!("{scheme}://{MASK}@{address}"))
}

/// The secret values among arguments and variables, to be struck out of what other programs print.
pub fn values<'a>(
    words: &'a [String],
    variables: impl Iterator<Item = (&'a String, &'a String)>,
) -> Vec<String> {
    let mut values: Vec<String> = variables
        .filter(|(key, _)| is_secret(key))
        .map(|(_, value)| value.clone())
        .collect();
    for (at, word) in words.iter().enumerate() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), words.get(at + 1).cloned()),
        };
        if flag.starts_with('-') && is_secret(flag) {
            values.extend(value);
        }
    }
    // A node token is a hash, a user and the password; the password alone is secret too.
    let passwords: Vec<String> = values
        .iter()
        .filter_map(|value| Some(value.rsplit_once(':')?.1.to_owned()))
        .collect();
    values.extend(passwords);
    values.retain(|value| value.len() >= SHORTEST);
    values
}

/// Text of another program without those values, and without anything shaped like a node token.
pub fn scrub(text: &str, secrets: &[String]) -> String {
    let text = secrets.iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.as_str(), MASK)
    });
    let is_token = |word: &str| word.contains("K10") && word.contains("::");
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        if is_token(word) {
            format!("{MASK}{}", &word[word.trim_end().len()..])
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

/// A line of a log that may be shown: what follows the name of a secret, the login of a URL, and tokens are struck out.
pub fn log_line(line: &str) -> String {
    let mut value_follows = false;
    let words = scrub(line, &[]);
    let words = words.split_inclusive(char::is_whitespace).map(|word| {
        let (word, blank) = word.split_at(word.trim_end().len());
        let (masked, follows) = if value_follows && !word.is_empty() {
            (MASK.to_owned(), false)
        } else {
            log_word(word)
        };
        value_follows = follows;
        format!("{masked}{blank}")
    });
    words.collect()
}

/// A word as it may be shown, and whether the next one is a secret.
fn log_word(word: &str) -> (String, bool) {
    if let Some(masked) = without_login(word) {
        return (masked, false);
    }
    for (at, _) in word.match_indices(['=', ':']) {
        let name = word[..at].trim_end_matches(['"', '\'', '\\']);
        let mut names = name.rsplit(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
        if names_secret(names.next().unwrap_or_default()) {
            let value = word[at + 1..].trim_matches(['"', '\'', '\\', ',']);
            return if value.is_empty() {
                (word.to_owned(), true)
            } else {
                (format!("{}{MASK}", &word[..=at]), false)
            };
        }
    }
    let bare = word.trim_matches(['"', '\'', '\\']);
    let flag = bare.starts_with('-') && names_secret(bare);
    (word.to_owned(), flag || bare.eq_ignore_ascii_case("bearer"))
}

/// `t` alone is a flag only with its dash.
fn names_secret(name: &str) -> bool {
    name.len() > 1 && is_secret(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn masks_a_line_with_letters_that_are_not_ascii() {
        for (line, shown) in [
            ("ht\u{fffd}ps: x", "ht\u{fffd}ps: x"),
            ("§token=abc", "§token=********"),
            ("ключ: abc", "ключ: abc"),
        ] {
            assert_eq!(log_line(line), shown);
        }
    }

    #[test]
    fn distinguishes_a_login_from_an_at_sign_in_a_path() {
        for (text, shown, login) in [
            ("https://me:pw@h:6443/x", "https://********@h:6443/x", true),
            ("https://me@h", "https://********@h", true),
            ("me:pw@h:6443", "me:pw@h:6443", true),
            ("https://h/files@v1", "https://********@v1", false),
            ("https://h:6443", "https://h:6443", false),
            ("none", "none", false),
        ] {
            assert_eq!(
                (address(text).as_str(), has_login(text)),
                (shown, login),
                "{text}"
            );
        }
    }

    #[test]
    fn masks_values_of_secret_flags() {
        let cases = [
            (
                "--token abcd --node-label a=b",
                "--token ******** --node-label a=b",
            ),
            ("--token=abcd -t abcd", "--token=******** -t ********"),
            (
                "--datastore-endpoint=mysql://u:p@h/ --token-file /t",
                "--datastore-endpoint=******** --token-file /t",
            ),
            ("--kine-endpoint postgres://u:p@h/k3s", "--kine-endpoint ********"),
            (
                "--agent-token --disable traefik",
                "--agent-token --disable traefik",
            ),
            (
                "--secrets-encryption --cluster-init",
                "--secrets-encryption --cluster-init",
            ),
            (
                "--secrets-encryption-provider secretbox --etcd-s3-config-secret s3",
                "--secrets-encryption-provider secretbox --etcd-s3-config-secret s3",
            ),
            (
                "--etcd-s3-secret-key k --etcd-s3-access-key=k",
                "--etcd-s3-secret-key ******** --etcd-s3-access-key=********",
            ),
            (
                "--etcd-s3-proxy=http://me:pw@proxy:3128 --server https://h:6443",
                "--etcd-s3-proxy=http://********@proxy:3128 --server https://h:6443",
            ),
        ];
        for (given, masked) in cases {
            assert_eq!(arguments(&words(given)).join(" "), masked);
        }
        for flag in [
            "agent-token+",
            "--kube-apiserver-secret",
            "AWS_SECRET_ACCESS_KEY",
            "KINE_DATASTORE_ENDPOINT",
        ] {
            assert!(is_secret(flag), "{flag}");
        }
        assert_eq!(variable("K3S_TOKEN", "x"), MASK);
        assert_eq!(variable("K3S_URL", "x"), "x");
        assert_eq!(
            variable("HTTPS_PROXY", "http://me:pw@proxy:3128"),
            "http://********@proxy:3128"
        );
        assert_eq!(variable("K3S_TOKEN_FILE", "/x"), "/x");
    }

    #[test]
    fn of_all_flags_only_those_of_the_table_are_secret() {
        let mut all: Vec<&str> = Role::ALL.into_iter().flat_map(flags::of).collect();
        all.sort_unstable();
        all.dedup();
        let secret: Vec<&str> = all.into_iter().filter(|flag| is_secret(flag)).collect();
        assert_eq!(secret, SECRET);
    }

    #[test]
    fn masks_values_of_secret_names_in_log_lines() {
        let cases = [
            (
                "level=info msg=\"Running k3s server --token=abc\"",
                "level=info msg=\"Running k3s server --token=********",
            ),
            (
                "joins by -t abc -s https://10.0.0.1:6443",
                "joins by -t ******** -s https://10.0.0.1:6443",
            ),
            (
                "K3S_TOKEN=abc K3S_URL=https://h:6443",
                "K3S_TOKEN=******** K3S_URL=https://h:6443",
            ),
            ("{\"token\":\"abc\",\"x\":1}", "{\"token\":********"),
            ("password: abc is wrong", "password: ******** is wrong"),
            (
                "dial mysql://u:p@tcp(h)/db failed",
                "dial mysql://********@tcp(h)/db failed",
            ),
            ("Authorization: Bearer abc", "Authorization: Bearer ********"),
            ("tried K10ab::server:abc in vain", "tried ******** in vain"),
            (
                "Node token is at /var/lib/rancher/k3s/server/token",
                "Node token is at /var/lib/rancher/k3s/server/token",
            ),
            ("at 12:30:01 t=5", "at 12:30:01 t=5"),
        ];
        for (line, masked) in cases {
            assert_eq!(log_line(line), masked);
        }
    }

    #[test]
    fn foreign_output_loses_the_values() {
        let variables = [("K3S_TOKEN".to_owned(), "K10ab::server:s3cr3t".to_owned())];
        let secrets = values(
            &words("--agent-token=other1 --token third1"),
            variables.iter().map(|(k, v)| (k, v)),
        );
        let text =
            "joined with K10ab::server:s3cr3t, s3cr3t, other1 and third1\nalso K10ff::server:else\nend";
        let scrubbed = scrub(text, &secrets);
        for secret in ["s3cr3t", "other1", "third1", "else"] {
            assert!(!scrubbed.contains(secret), "{scrubbed}");
        }
        assert!(scrubbed.ends_with("********\nend"), "{scrubbed}");
    }
}
