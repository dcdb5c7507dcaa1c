//! Defaults of options, for `#[serde(default = …)]`. The number stands at the option, as it does in the sidecar.

/// `default = "number::<600, _>"`
pub fn number<const N: u16, T: From<u16>>() -> T {
    N.into()
}

/// For an option that is on unless it is turned off.
pub fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Options {
        #[serde(default = "number::<600, _>")]
        lock_timeout: u64,
        #[serde(default = "number::<5, _>")]
        interval: u32,
        #[serde(default = "yes")]
        enabled: bool,
    }

    #[test]
    fn an_option_has_its_default_until_it_is_given() {
        let read = |text: &str| serde_json::from_str::<Options>(text).unwrap();
        let Options {
            lock_timeout,
            interval,
            enabled,
        } = read("{}");
        assert_eq!((lock_timeout, interval, enabled), (600, 5, true));
        let given = read(r#"{"lock_timeout": 1, "interval": 2, "enabled": false}"#);
        assert_eq!((given.lock_timeout, given.interval, given.enabled), (1, 2, false));
    }
}
