use plasma_identity::NewBranding;
use plasma_kernel::{Code, Ctx, Role};
use plasma_testkit::on_each_database;

use crate::{
    isolation::second_tenant,
    support::{World, reason, refused},
};

fn png(width: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(32_u32.to_be_bytes());
    bytes.extend([8, 6, 0, 0, 0]);
    bytes
}

fn blue() -> NewBranding {
    NewBranding {
        accent_color: Some("#2238D0".to_owned()),
        support_contact: Some("help@example.org".to_owned()),
        mail_footer: "Keepers Ltd".to_owned(),
        ..NewBranding::default()
    }
}

on_each_database! {
    async fn looks_are_each_tenants_own(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        world.add("ada", Role::Admin).await;
        let (_, admin) = world.enter("ada").await;
        assert_eq!(reason(world.identity.put_branding(&admin, blue()).await), "forbidden");
        let branding = world.identity.put_branding(&world.owner, blue()).await.unwrap();
        assert_eq!(branding.accent_color.as_deref(), Some("#2238d0"));
        let dark = branding.accent_color_dark.clone().unwrap();
        assert_ne!(dark, "#2238d0", "too dark for dark pages");
        assert_eq!(branding.signed("Hello".to_owned()), "Hello\n\n-- \nKeepers Ltd\n");
        // Everybody in the tenant sees it, and nobody else.
        assert_eq!(world.identity.own_branding(&admin).await.unwrap(), branding);
        let other = world.identity.own_branding(&bea).await.unwrap();
        assert_eq!((other.name.as_str(), other.accent_color), ("bea's workspace", None));
        // The same again tells nothing.
        world.identity.put_branding(&world.owner, blue()).await.unwrap();
        let tenant = world.owner.tenant().unwrap();
        assert_eq!(world.count_events(&world.owner, "identity.branding.updated", tenant).await, 1);
        let pale = NewBranding { accent_color: Some("#ffff00".to_owned()), ..NewBranding::default() };
        assert_eq!(refused(world.identity.put_branding(&world.owner, pale).await).field_name(), Some("accent_color"));
    }

    async fn a_logo_is_a_picture_by_its_own_bytes(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        assert_eq!(reason(world.identity.logo(&world.owner).await), "logo_not_found");
        let script = refused(world.identity.put_logo(&world.owner, "<svg onload=alert(1)>".into()).await);
        assert_eq!((script.code(), script.field_name()), (Code::Invalid, Some("logo")));
        assert_eq!(refused(world.identity.put_logo(&world.owner, vec![0_u8; 300_000].into()).await).code(), Code::TooLarge);

        let first = world.identity.put_logo(&world.owner, png(64).into()).await.unwrap().logo.unwrap();
        assert_eq!(first.media_type, "image/png");
        let (logo, bytes) = world.identity.logo(&world.owner).await.unwrap();
        assert_eq!((logo.hash.as_str(), bytes.to_vec()), (first.hash.as_str(), png(64)));
        assert_eq!(reason(world.identity.logo(&bea).await), "logo_not_found");
        let second = world.identity.put_logo(&world.owner, png(65).into()).await.unwrap().logo.unwrap();
        assert_ne!(first.hash, second.hash);
        let blobs = async |ctx: &Ctx| futures::StreamExt::count(world.store.blobs().list(ctx).unwrap()).await;
        assert_eq!(blobs(&world.owner).await, 1, "the picture from before is gone");
        world.identity.remove_logo(&world.owner).await.unwrap();
        world.identity.remove_logo(&world.owner).await.unwrap();
        assert_eq!(blobs(&world.owner).await, 0);
    }

    async fn a_host_name_shows_a_tenants_looks_once_an_operator_confirmed_it(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        let id = bea.tenant().unwrap();
        let name = "knowledge.example.com";
        world.identity.put_branding(&bea, blue()).await.unwrap();
        world.identity.put_logo(&bea, png(64).into()).await.unwrap();
        world.identity.put_domain(&bea, "Knowledge.Example.com").await.unwrap();
        // Asking for a name takes it from nobody.
        world.identity.put_domain(&world.owner, name).await.unwrap();
        assert!(world.identity.branding_of_host(name).await.unwrap().is_none());

        assert_eq!(reason(world.identity.confirm_domain(&bea, id, name).await), "forbidden");
        assert_eq!(reason(world.identity.confirm_domain(&world.owner, id, "other.example.com").await), "domain_changed");
        world.identity.confirm_domain(&world.owner, id, name).await.unwrap();
        let (tenant, branding) = world.identity.branding_of_host("knowledge.example.com:443").await.unwrap().unwrap();
        assert_eq!((tenant, branding.accent_color.as_deref()), (id, Some("#2238d0")));
        assert!(world.identity.logo_of_host(name).await.is_ok());
        assert!(world.identity.branding_of_host("127.0.0.1:8080").await.unwrap().is_none());
        let taken = world.identity.confirm_domain(&world.owner, world.owner.tenant().unwrap(), name).await;
        assert_eq!(reason(taken), "domain_taken");

        // A closed tenant shows nothing, and another name must be confirmed anew.
        world.identity.suspend_tenant(&world.owner, id, None).await.unwrap();
        assert!(world.identity.branding_of_host(name).await.unwrap().is_none());
        world.identity.resume_tenant(&world.owner, id).await.unwrap();
        world.identity.put_domain(&bea, "other.example.com").await.unwrap();
        assert!(world.identity.branding_of_host("other.example.com").await.unwrap().is_none());
        assert!(world.identity.branding_of_host(name).await.unwrap().is_none());
        world.identity.remove_domain(&bea).await.unwrap();
        assert!(world.identity.own_branding(&bea).await.unwrap().domain.is_none());
    }
}
