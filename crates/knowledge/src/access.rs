//! Who may see a document.

use std::{collections::BTreeSet, sync::Arc};

use plasma_kernel::{Ctx, Error, Permission, Result, TeamId, UserId};
use serde::{Deserialize, Serialize};

use crate::limits;

/// The people and teams that may see a document, beside those who may see all (`documents:read_all`). At most 1,000 together.
/// An empty one is for nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// People.
    #[serde(default)]
    pub users: Vec<UserId>,
    /// Teams: whoever is in one of them.
    #[serde(default)]
    pub teams: Vec<TeamId>,
}

impl Access {
    /// Puts the entries in order, each once.
    ///
    /// # Errors
    /// `too_large` beyond 1,000 entries.
    pub(crate) fn tidied(self) -> Result<Self> {
        let users: Vec<UserId> = self.users.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let teams: Vec<TeamId> = self.teams.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        if users.len() + teams.len() > limits::ACCESS_ENTRIES_MAX {
            let message = format!("names more than {} people and teams", limits::ACCESS_ENTRIES_MAX);
            return Err(Error::too_large("access", message).remedy("make a team of the people"));
        }
        Ok(Self { users, teams })
    }

    /// The ids, as SQL compares them.
    pub(crate) fn readers(&self) -> Vec<String> {
        let users = self.users.iter().map(ToString::to_string);
        users.chain(self.teams.iter().map(ToString::to_string)).collect()
    }
}

/// Who looks: what decides which documents there are for them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Viewer {
    /// Sees every document.
    All,
    /// Sees those that are open to everybody, to the person, or to one of the teams.
    Reader {
        /// `None`: nobody in particular.
        user: Option<UserId>,
        teams: Arc<[TeamId]>,
    },
}

impl Viewer {
    /// Whoever acts in the context. A program acts with the access of the person who made its key.
    pub(crate) fn of(ctx: &Ctx) -> Self {
        if ctx.permissions().contains(Permission::DocumentsReadAll) {
            return Self::All;
        }
        Self::Reader { user: ctx.person(), teams: ctx.teams() }
    }

    /// Whether a document with this access is there for the viewer.
    pub(crate) fn may_see(&self, access: Option<&Access>) -> bool {
        match (self, access) {
            (Self::All, _) | (_, None) => true,
            (Self::Reader { user, teams }, Some(access)) => {
                user.is_some_and(|user| access.users.contains(&user))
                    || teams.iter().any(|team| access.teams.contains(team))
            }
        }
    }

    /// The ids to look for among a document's readers; `None` for whoever sees all.
    pub(crate) fn readers(&self) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::Reader { user, teams } => {
                let user = user.iter().map(ToString::to_string);
                Some(user.chain(teams.iter().map(ToString::to_string)).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u128) -> UserId {
        UserId::from_bits(number)
    }

    fn team(number: u128) -> TeamId {
        TeamId::from_bits(number)
    }

    fn reader(user: Option<UserId>, teams: &[TeamId]) -> Viewer {
        Viewer::Reader { user, teams: teams.into() }
    }

    #[test]
    fn people_and_teams_see_what_is_theirs() {
        let access = Access { users: vec![user(1)], teams: vec![team(1)] };
        assert!(reader(Some(user(1)), &[]).may_see(Some(&access)));
        assert!(reader(Some(user(2)), &[team(2), team(1)]).may_see(Some(&access)));
        assert!(!reader(Some(user(2)), &[team(2)]).may_see(Some(&access)));
        assert!(!reader(None, &[]).may_see(Some(&access)));
        assert!(reader(None, &[]).may_see(None) && Viewer::All.may_see(Some(&access)));
        assert!(!reader(Some(user(1)), &[team(1)]).may_see(Some(&Access::default())));
    }

    #[test]
    fn entries_are_tidied_and_limited() {
        let access = Access { users: vec![user(2), user(1), user(2)], teams: Vec::new() }.tidied().unwrap();
        assert_eq!(access.users, [user(1), user(2)]);
        let many = Access { users: (0..1_001).map(user).collect(), teams: Vec::new() };
        assert_eq!(many.tidied().unwrap_err().field_name(), Some("access"));
    }
}
