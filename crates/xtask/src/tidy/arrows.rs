//! Arrows between crates, as drawn in the design's section 3.

use anyhow::{Context as _, Result};
use toml::Table;

use super::Finding;
use crate::scan::Source;

/// What every domain may use.
const BASE: &[&str] = &["http", "kernel", "store", "workflows"];

/// Each crate, whether it builds on [`BASE`], and what else it may use.
const ARROWS: &[(&str, bool, &[&str])] = &[
    ("kernel", false, &[]),
    ("http", false, &["kernel"]),
    ("protocols", false, &["kernel"]),
    ("store", false, &["kernel"]),
    ("workflows", false, &["http", "kernel", "store"]),
    ("governance", true, &[]),
    ("learning", true, &[]),
    ("embed-kernels", false, &[]),
    ("models", true, &["embed-kernels", "governance", "protocols"]),
    ("identity", true, &[]),
    ("plugins", true, &[]),
    ("analytics", true, &["learning"]),
    ("vectors", false, &[]),
    ("knowledge", true, &["models", "vectors"]),
    ("integrations", true, &["knowledge"]),
    ("content", true, &["analytics", "knowledge", "models"]),
    (
        "server",
        true,
        &[
            "analytics",
            "content",
            "governance",
            "identity",
            "integrations",
            "knowledge",
            "learning",
            "models",
            "plugins",
            "protocols",
        ],
    ),
    ("testkit", false, &["kernel", "store"]),
    ("xtask", false, &[]),
];

pub(super) fn check(sources: &[Source]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for source in sources {
        let Some(name) = source.path.strip_prefix("crates/").and_then(|path| path.strip_suffix("/Cargo.toml")) else {
            continue;
        };
        let Some((_, on_base, more)) = ARROWS.iter().find(|(known, ..)| *known == name) else {
            findings.push(Finding::of(
                source,
                "the crate is not in the design's drawing: draw it, then add it to tidy/arrows.rs",
            ));
            continue;
        };
        let manifest: Table = source.text.parse().with_context(|| source.path.clone())?;
        for (section, is_test) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)] {
            let used = manifest.get(section).and_then(|section| section.as_table()).into_iter().flat_map(Table::keys);
            for used in used.filter_map(|used| used.strip_prefix("plasma-")) {
                let allowed =
                    (*on_base && BASE.contains(&used)) || more.contains(&used) || (is_test && used == "testkit");
                if !allowed {
                    findings.push(Finding::of(
                        source,
                        format!("[{section}] the design draws no arrow from {name} to {used}"),
                    ));
                }
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_that_points_up_is_found() {
        let manifest =
            |name: &str, text: &str| Source { path: format!("crates/{name}/Cargo.toml"), text: text.to_owned() };
        let sources = [
            manifest("models", "[dependencies]\nplasma-kernel.workspace = true\nplasma-knowledge.workspace = true\n"),
            manifest(
                "knowledge",
                "[dependencies]\nplasma-models.workspace = true\n[dev-dependencies]\nplasma-testkit.workspace = true\n",
            ),
            manifest("content", "[dependencies]\nplasma-testkit.workspace = true\n"),
        ];
        let findings = check(&sources).unwrap_or_default();
        let places: Vec<_> = findings.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(places, ["crates/models/Cargo.toml", "crates/content/Cargo.toml"]);
    }
}
