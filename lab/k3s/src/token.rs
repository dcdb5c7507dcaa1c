//! Tokens: `K10<hash of the CA>::<user>:<secret>`, or the secret alone.

use crate::config::{Config, kept};
use crate::files;
use crate::random;
use anyhow::{Result, bail};

#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Empty in the short form.
    pub ca_hash: String,
    pub secret: String,
}

impl Token {
    pub fn parse(text: &str) -> Result<Self> {
        let Some(full) = text.strip_prefix("K10") else {
            return Ok(Self {
                ca_hash: String::new(),
                secret: text.to_owned(),
            });
        };
        let Some((hash, login)) = full.split_once("::") else {
            bail!("invalid token format")
        };
        if hash.len() != 64 {
            bail!("invalid token CA hash length");
        }
        let secret = login.split_once(':').map_or(login, |(_, secret)| secret);
        Ok(Self {
            ca_hash: hash.to_owned(),
            secret: secret.to_owned(),
        })
    }
}

/// The server's secret: as set, else as before, else a new one.
pub fn secret_of(config: &Config) -> Result<String> {
    if let Some(given) = config.token() {
        return Ok(Token::parse(&given)?.secret);
    }
    let file = config.server_dir().join("token");
    Ok(Token::parse(&kept(&file, random::secret, 0o600)?)?.secret)
}

/// `server/token`, with `node-token` pointing to it.
pub fn write(config: &Config, ca_hash: &str, secret: &str) -> Result<()> {
    let file = config.server_dir().join("token");
    files::write(&file, &format!("K10{ca_hash}::server:{secret}\n"), 0o600)?;
    let link = config.server_dir().join("node-token");
    if std::fs::symlink_metadata(&link).is_err() {
        std::os::unix::fs::symlink(&file, &link)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let hash = "a".repeat(64);
        assert_eq!(Token::parse("secretlab").unwrap().secret, "secretlab");
        let full = Token::parse(&format!("K10{hash}::server:secretlab")).unwrap();
        assert_eq!((full.ca_hash, full.secret), (hash, "secretlab".to_owned()));
        assert!(Token::parse("K10abc::server:x").is_err());
    }
}
