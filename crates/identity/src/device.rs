//! What a client says that it is, as a person would say it: "Firefox on Linux".

/// Longer than what any honest client sends.
const USER_AGENT_CHARS_MAX: usize = 200;

/// Browsers by the word that only they have in what they say; those that pretend to be others come first.
const BROWSERS: [(&str, &str); 9] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// What is kept of a client's own words: one line of bounded length.
pub(crate) fn kept_user_agent(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|letter| !letter.is_control()).take(USER_AGENT_CHARS_MAX).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// A name for the device behind a session.
pub(crate) fn device_label(user_agent: Option<&str>) -> String {
    let Some(text) = user_agent else { return "An unknown client".to_owned() };
    let find = |known: &[(&'static str, &'static str)]| {
        known.iter().find(|(word, _)| text.contains(word)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("A browser on {system}"),
        // A program says its name first, as in curl/8.5.0.
        (None, None) => text.split(['/', ' ']).next().unwrap_or(text).chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_browsers_are_named() {
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
        for (text, label) in [
            (windows.to_owned(), "Chrome on Windows"),
            (format!("{windows} Edg/126.0.0.0"), "Edge on Windows"),
            (phone.to_owned(), "Safari on iPhone"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0".to_owned(), "Firefox on Linux"),
            ("curl/8.5.0".to_owned(), "curl"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5)".to_owned(), "A browser on macOS"),
        ] {
            assert_eq!(device_label(Some(&text)), label);
        }
        assert_eq!(device_label(None), "An unknown client");
    }

    #[test]
    fn what_is_kept_is_one_short_line() {
        assert_eq!(kept_user_agent("curl\r\nX: y").as_deref(), Some("curlX: y"));
        assert_eq!(kept_user_agent(" \t "), None);
        assert_eq!(kept_user_agent(&"a".repeat(1_000)).map(|text| text.len()), Some(200));
    }
}
