//! Asking people by mail, and several tenants for one person.

use plasma_identity::{AcceptInvitation, InvitationState, NewInvitation, Secret, UserChange};
use plasma_kernel::{Authentication, Ctx, Method, Methods, Origin, Result, Role};
use plasma_testkit::on_each_database;

use crate::{
    isolation::second_tenant,
    support::{DAY, PASSWORD, World, page, reason, refused, secret},
};

const BASE: &str = "https://plasma.example.com/";

fn to(name: &str, role: Role) -> NewInvitation {
    NewInvitation { email: format!("{name}@example.org"), role }
}

/// The token in the newest mail of a tenant.
async fn token(world: &World, ctx: &Ctx) -> Secret {
    let mut tx = world.store.read(ctx).await.unwrap();
    let row = tx
        .fetch_one(
            "SELECT sealed FROM mails WHERE tenant_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1",
            [ctx.tenant().unwrap().into()],
        )
        .await
        .unwrap();
    let mail = world.store.open_secret(&mut tx, "mail", &row.get::<Vec<u8>>("sealed").unwrap()).await.unwrap();
    let (_, rest) = mail.split_once("/invitation/#token=").unwrap();
    let token: String = rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
    Secret::new(token)
}

async fn accept(world: &World, token: &Secret, name: &str) -> Result<Ctx> {
    let answer = AcceptInvitation { token: token.clone(), name: name.to_owned(), password: secret(PASSWORD) };
    let step = world.identity.accept_invitation(&world.system(), answer, &Origin::default()).await?;
    let token = step.into_logged_in().unwrap().token;
    Ok(world.identity.authenticate(token.expose()).await?.ctx)
}

on_each_database! {
    async fn a_new_person_joins_by_the_link(test: TestStore) {
        let world = World::new(test.store()).await;
        let made = world.identity.invite(&world.owner, BASE, to("Ada", Role::Editor)).await.unwrap();
        assert_eq!((made.email.as_str(), made.state, made.sent_count), ("ada@example.org", InvitationState::Open, 1));
        let link = token(&world, &world.owner).await;
        let preview = world.identity.preview_invitation(&world.system(), &link).await.unwrap();
        assert_eq!((preview.email.as_str(), preview.tenant_name.as_str()), ("ada@example.org", "Default workspace"));
        assert!(!preview.has_account);

        let weak = AcceptInvitation { token: link.clone(), name: "Ada".to_owned(), password: secret("short") };
        let weak = world.identity.accept_invitation(&world.system(), weak, &Origin::default()).await;
        assert_eq!(refused(weak).field_name(), Some("password"));
        let ada = accept(&world, &link, "Ada").await.unwrap();
        assert_eq!(world.identity.me(&ada).await.unwrap().role, Role::Editor);
        assert!(world.login("ada@example.org", PASSWORD).await.is_ok());
        // The link worked once.
        assert_eq!(reason(accept(&world, &link, "Eve").await), "invitation_invalid");
        let listed = world.identity.invitations(&world.owner, &page()).await.unwrap().data;
        assert_eq!(listed[0].state, InvitationState::Accepted);
        assert_eq!(reason(world.identity.revoke_invitation(&world.owner, made.id).await), "invitation_closed");
        assert_eq!(reason(world.identity.invite(&world.owner, BASE, to("ada", Role::Viewer)).await), "already_member");
        // The token is stored nowhere.
        assert!(!world.everything_stored().await.contains(link.expose()));
    }

    async fn somebody_with_an_account_logs_in_and_joins(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        world.add("ada", Role::Editor).await;
        // The answer is the same as for somebody whom nobody knows.
        let known = world.identity.invite(&bea, BASE, to("ada", Role::Admin)).await.unwrap();
        let link = token(&world, &bea).await;
        world.clock.advance(std::time::Duration::from_secs(1));
        let unknown = world.identity.invite(&bea, BASE, to("nobody", Role::Admin)).await.unwrap();
        assert_eq!((known.state, known.role, known.sent_count), (unknown.state, unknown.role, unknown.sent_count));

        assert!(world.identity.preview_invitation(&world.system(), &link).await.unwrap().has_account);
        assert_eq!(reason(accept(&world, &link, "Ada").await), "log_in_first");
        assert_eq!(reason(world.identity.join_by_invitation(&world.owner, &link).await), "invitation_for_another");
        let (_, ada) = world.enter("ada").await;
        let joined = world.identity.join_by_invitation(&ada, &link).await.unwrap();
        assert_eq!((joined.tenant.id, joined.role), (bea.tenant().unwrap(), Role::Admin));
        assert_eq!(reason(world.identity.join_by_invitation(&ada, &link).await), "invitation_invalid");

        let mine = world.identity.my_tenants(&ada).await.unwrap();
        assert_eq!(mine.iter().map(|one| one.role).collect::<Vec<_>>(), [Role::Editor, Role::Admin]);
        assert_eq!(reason(world.identity.my_tenants(&world.system()).await), "forbidden");
    }

    async fn a_person_goes_from_one_tenant_into_another(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        world.add("ada", Role::Editor).await;
        world.identity.invite(&bea, BASE, to("ada", Role::Admin)).await.unwrap();
        let link = token(&world, &bea).await;
        let (first_token, ada) = world.enter("ada").await;
        let there = bea.tenant().unwrap();
        assert_eq!(reason(world.identity.enter_tenant(&ada, there).await), "tenant_not_found");
        world.identity.join_by_invitation(&ada, &link).await.unwrap();

        // What an identity provider says of somebody counts in its own tenant.
        let own = *ada.authentication().unwrap();
        let methods = Methods::default().with(Method::SingleSignOn);
        let vouched_for = ada.clone().with_authentication(Authentication { methods, ..own });
        assert_eq!(reason(world.identity.enter_tenant(&vouched_for, there).await), "sso_session_bound");

        world.clock.advance(std::time::Duration::from_secs(3_600));
        let entered = world.identity.enter_tenant(&ada, there).await.unwrap().into_logged_in().unwrap();
        assert!(!world.is_valid(&first_token).await, "the session from before has ended");
        let caller = world.identity.authenticate(entered.token.expose()).await.unwrap();
        assert_eq!((caller.ctx.tenant().unwrap(), caller.role), (there, Role::Admin));
        // Nothing was proved anew: a dangerous action still asks for a proof.
        assert_eq!(reason(caller.ctx.require_recent_authentication()), "step_up_required");
        // The next login leads there.
        let (_, again) = world.enter("ada").await;
        assert_eq!(again.tenant().unwrap(), there);

        world.identity.suspend_tenant(&world.owner, there, None).await.unwrap();
        let (_, home) = world.enter("ada").await;
        assert_eq!(home.tenant().unwrap(), world.owner.tenant().unwrap(), "a closed tenant only when there is no other");
        assert_eq!(reason(world.identity.enter_tenant(&home, there).await), "tenant_suspended");
        assert_eq!(world.identity.my_tenants(&home).await.unwrap().len(), 2);
    }

    async fn an_invitation_ends_is_taken_back_and_is_sent_again(test: TestStore) {
        let world = World::new(test.store()).await;
        let made = world.identity.invite(&world.owner, BASE, to("ada", Role::Viewer)).await.unwrap();
        let first = token(&world, &world.owner).await;
        assert_eq!(reason(world.identity.invite(&world.owner, BASE, to("ada", Role::Viewer)).await), "invitation_open");
        assert_eq!(reason(world.identity.resend_invitation(&world.owner, BASE, made.id).await), "invitation_sent_lately");
        world.clock.advance(7 * DAY);
        assert_eq!(world.identity.invitations(&world.owner, &page()).await.unwrap().data[0].state, InvitationState::Expired);
        assert_eq!(reason(accept(&world, &first, "Ada").await), "invitation_invalid");
        let again = world.identity.resend_invitation(&world.owner, BASE, made.id).await.unwrap();
        assert_eq!((again.state, again.sent_count), (InvitationState::Open, 2));
        let second = token(&world, &world.owner).await;
        assert_eq!(reason(accept(&world, &first, "Ada").await), "invitation_invalid");
        world.identity.revoke_invitation(&world.owner, made.id).await.unwrap();
        world.identity.revoke_invitation(&world.owner, made.id).await.unwrap();
        assert_eq!(reason(accept(&world, &second, "Ada").await), "invitation_invalid");
        assert_eq!(reason(world.identity.resend_invitation(&world.owner, BASE, made.id).await), "invitation_closed");
        // Anew after it was taken back.
        world.clock.advance(std::time::Duration::from_secs(1));
        let anew = world.identity.invite(&world.owner, BASE, to("ada", Role::Editor)).await.unwrap();
        assert_ne!(anew.id, made.id);
        let link = token(&world, &world.owner).await;
        accept(&world, &link, "Ada").await.unwrap();
    }

    async fn nobody_invites_to_more_than_they_hold_then_or_later(test: TestStore) {
        let world = World::new(test.store()).await;
        let cara = world.add("cara", Role::Admin).await;
        let (_, admin) = world.enter("cara").await;
        assert_eq!(reason(world.identity.invite(&admin, BASE, to("ada", Role::Owner)).await), "forbidden");
        world.identity.invite(&admin, BASE, to("ada", Role::Admin)).await.unwrap();
        let link = token(&world, &world.owner).await;
        let demoted = UserChange { role: Some(Role::Editor), ..UserChange::default() };
        world.identity.update_user(&world.owner, cara.id, demoted).await.unwrap();
        assert_eq!(reason(accept(&world, &link, "Ada").await), "invitation_invalid");
        assert_eq!(reason(world.identity.invitations(&world.enter("cara").await.1, &page()).await), "forbidden");
    }

    async fn a_plan_without_room_refuses_the_invited_too(test: TestStore) {
        let world = World::new(test.store()).await;
        world.identity.invite(&world.owner, BASE, to("ada", Role::Viewer)).await.unwrap();
        let link = token(&world, &world.owner).await;
        let tenant = world.owner.tenant().unwrap();
        let limits = vec![(plasma_kernel::QuotaResource::Users, 1)];
        let plan = plasma_identity::NewQuotas { plan: "one".to_owned(), limits };
        world.identity.put_quotas(&world.owner, tenant, plan).await.unwrap();
        assert_eq!(reason(accept(&world, &link, "Ada").await), "quota_exceeded");
        assert_eq!(reason(world.identity.invite(&world.owner, BASE, to("bob", Role::Viewer)).await), "quota_exceeded");
        assert_eq!(world.identity.users(&world.owner, &page()).await.unwrap().data.len(), 1);
    }

    async fn another_tenants_invitations_do_not_exist(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        let made = world.identity.invite(&world.owner, BASE, to("ada", Role::Viewer)).await.unwrap();
        assert!(world.identity.invitations(&bea, &page()).await.unwrap().data.is_empty());
        assert_eq!(reason(world.identity.revoke_invitation(&bea, made.id).await), "invitation_not_found");
        assert_eq!(reason(world.identity.resend_invitation(&bea, BASE, made.id).await), "invitation_not_found");
        for garbage in ["", "pli_", "pli_x", "plk_0", "pli_0000000000000000000000000000000000000000000000000000"] {
            let garbage = Secret::new(garbage);
            assert_eq!(reason(world.identity.preview_invitation(&world.system(), &garbage).await), "invitation_invalid");
        }
    }
}
