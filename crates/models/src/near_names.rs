//! What a caller who mistyped a model's name may have meant.

use plasma_kernel::{Ctx, Error, Result};

use crate::{ModelKind, Models, catalog::model_not_found};

/// Names that are proposed.
const NAMES_MAX: usize = 5;
/// Letters that may be wrong, missing, too many, or two of them exchanged.
const DISTANCE_MAX: usize = 3;
/// Longer names are not compared.
const NAME_CHARS_MAX: usize = 200;

impl Models {
    /// The refusal of an unknown name: it lists the tenant's models of the kind, routes and aliases with near names. `alias`
    /// is the alias that led to `name`.
    pub(crate) async fn unknown_model(&self, ctx: &Ctx, name: &str, alias: Option<&str>, kind: ModelKind) -> Error {
        if let Some(alias) = alias {
            let message = format!("the alias `{alias}` stands for `{name}`, which does not exist any more");
            return Error::not_found("model_not_found", message)
                .field("model")
                .remedy("an administrator can let the alias stand for another model");
        }
        match self.names(ctx, kind).await {
            Ok(names) => model_not_found(name, &near(name, &names)),
            Err(error) => {
                tracing::debug!(?error, "near names could not be looked up");
                model_not_found(name, &[])
            }
        }
    }

    /// All names that can stand in the place of a model of this kind.
    async fn names(&self, ctx: &Ctx, kind: ModelKind) -> Result<Vec<String>> {
        let models = self.tenant_models(ctx).await?;
        let models = models.into_iter().filter(|model| model.kind == kind).map(|model| model.id);
        let mut names: Vec<String> = models.chain(self.known_aliases(ctx).await?.keys().cloned()).collect();
        if kind == ModelKind::Chat {
            names.extend(self.all_routes(ctx).await?.into_iter().map(|route| route.name));
        }
        Ok(names)
    }
}

/// The names that are at most three edits away, the nearest first. A name without its provider is near to the whole one.
pub fn near<'a>(name: &str, names: &'a [String]) -> Vec<&'a str> {
    if name.chars().count() > NAME_CHARS_MAX {
        return Vec::new();
    }
    let wanted = name.to_lowercase();
    // Of a name with few letters nothing would be left.
    let allowed = DISTANCE_MAX.min(wanted.chars().count() / 2);
    let mut found: Vec<(usize, &str)> = names
        .iter()
        .filter_map(|candidate| {
            let candidate_lower = candidate.to_lowercase();
            let mut distance = strsim::damerau_levenshtein(&wanted, &candidate_lower);
            if !wanted.contains('/')
                && let Some((_, own)) = candidate_lower.split_once('/')
            {
                distance = distance.min(strsim::damerau_levenshtein(&wanted, own));
            }
            (distance <= allowed).then_some((distance, candidate.as_str()))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(NAMES_MAX).map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near_of(name: &str) -> Vec<String> {
        let names = ["acme/large", "acme/large-2", "acme/small", "local/all-minilm-l6-v2", "auto-fast", "careful"];
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        near(name, &names).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn names_up_to_three_edits_away_are_near_and_the_nearest_comes_first() {
        assert_eq!(near_of("acme/larg"), ["acme/large", "acme/large-2"]);
        assert_eq!(near_of("acme/lareg"), ["acme/large", "acme/large-2"]);
        assert_eq!(near_of("acme/large-22"), ["acme/large-2", "acme/large"]);
        assert_eq!(near_of("auto-fsat"), ["auto-fast"]);
        assert_eq!(near_of("ACME/Large"), ["acme/large", "acme/large-2"]);
        assert!(near_of("acme/enormous").is_empty());
    }

    #[test]
    fn a_name_without_its_provider_is_near_to_the_whole_name() {
        assert_eq!(near_of("all-minilm-l6-v2"), ["local/all-minilm-l6-v2"]);
        assert_eq!(near_of("smal"), ["acme/small"]);
    }

    #[test]
    fn short_and_endless_names_are_near_to_nothing() {
        assert!(near_of("a").is_empty() && near_of("").is_empty());
        assert!(near_of(&"acme/large".repeat(1_000)).is_empty());
    }
}
