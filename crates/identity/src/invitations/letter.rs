//! The mail that asks.

use plasma_kernel::Result;
use plasma_store::Tx;

use crate::{Branding, Identity, Invitation, Secret, mail::Mail, store};

impl Identity {
    /// Queues the mail of an invitation in the transaction that makes its link.
    pub(super) async fn send_invitation(
        &self,
        tx: &mut Tx,
        base: &str,
        invitation: &Invitation,
        token: &Secret,
    ) -> Result<()> {
        let branding = self.branding(tx).await?;
        let inviter = store::users::get(tx, invitation.invited_by).await?.name;
        let mail = Mail {
            to: invitation.email.clone(),
            subject: format!("{inviter} invites you to {}", branding.name),
            text: text(&branding, &inviter, &link(&branding, base, token)),
        };
        self.queue_mail(tx, mail).await
    }
}

/// Under the tenant's own host name, if it has one.
fn link(branding: &Branding, base: &str, token: &Secret) -> String {
    let own = branding.domain.as_ref().and_then(|domain| domain.confirmed_name());
    let base = own.map_or_else(|| base.trim_end_matches('/').to_owned(), |name| format!("https://{name}"));
    format!("{base}/invitation/#token={}", token.expose())
}

fn text(branding: &Branding, inviter: &str, link: &str) -> String {
    let name = &branding.name;
    let mut text = format!(
        "Hello,\n\n{inviter} invites you to the workspace \"{name}\".\n\nOpen this link within 7 days to join:\n\n{link}\n\n\
         If you did not expect this, do nothing: without the link nobody can join in your name.\n"
    );
    if let Some(contact) = &branding.support_contact {
        text.push_str(&format!("\nQuestions: {contact}\n"));
    }
    branding.signed(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CustomDomain;

    fn branding(confirmed_at: Option<i64>) -> Branding {
        let domain = CustomDomain { name: "knowledge.example.com".to_owned(), requested_at: 0, confirmed_at };
        Branding {
            name: "Keepers".to_owned(),
            accent_color: None,
            accent_color_dark: None,
            support_contact: Some("help@example.com".to_owned()),
            mail_footer: "Keepers Ltd".to_owned(),
            logo: None,
            domain: Some(domain),
            dark_is_given: false,
        }
    }

    #[test]
    fn the_link_leads_to_the_tenants_own_name_once_that_is_confirmed() {
        let token = Secret::new("pli_a");
        let base = "https://plasma.example.com/";
        assert_eq!(link(&branding(None), base, &token), "https://plasma.example.com/invitation/#token=pli_a");
        assert_eq!(link(&branding(Some(1)), base, &token), "https://knowledge.example.com/invitation/#token=pli_a");
    }

    #[test]
    fn the_mail_says_who_asks_and_where_to_go() {
        let text = text(&branding(None), "Ada", "https://plasma.example.com/invitation/#token=pli_a");
        for part in [
            "Ada invites you",
            "\"Keepers\"",
            "/invitation/#token=pli_a",
            "7 days",
            "help@example.com",
            "\n-- \nKeepers Ltd\n",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
