//! Arguments as Perl sees them: decoded by the locale's charset, encoded again for the child. What does not survive
//! that is silently replaced.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

pub(crate) fn arguments() -> Vec<String> {
    let decode = if utf8() { decode_utf8 } else { decode_ascii };
    env::args_os().skip(1).map(decode).collect()
}

fn decode_utf8(word: OsString) -> String {
    String::from_utf8_lossy(&word.into_vec()).into_owned()
}

/// Every single byte that is not ASCII is lost.
fn decode_ascii(word: OsString) -> String {
    word.into_vec()
        .into_iter()
        .map(|byte| if byte.is_ascii() { byte as char } else { '\u{FFFD}' })
        .collect()
}

fn utf8() -> bool {
    let name = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default();
    let Some((language, charset)) = name.split_once('.') else {
        return false;
    };
    let charset = charset.to_ascii_lowercase().replace('-', "");
    charset == "utf8" && (language == "C" || installed(&format!("{language}.{charset}")))
}

/// A locale that is not installed is as good as none.
fn installed(name: &str) -> bool {
    let folder = Path::new("/usr/lib/locale");
    folder.join(name).exists()
        || fs::read(folder.join("locale-archive"))
            .is_ok_and(|archive| archive.windows(name.len()).any(|part| part == name.as_bytes()))
}
