//! Access policies in Cedar's language.

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
    thread,
};

use plasma_kernel::{ApiKeyId, Permission, Permissions, PolicyId, Role, Subject, TeamId, UserId};

use crate::{
    policy::{ActorKey, Compiled, Facts, Moment, Question, Source, TEXT_BYTES_MAX, Who, check},
    types::INSTALLATION,
};

/// Twice what a thread of the server has: with counters in every branch, functions take more of it.
const STACK_BYTES: usize = 4 << 20;
const NOON: i64 = 12 * 3_600 * 1_000_000;

/// In a thread as small as those that look at policies: a text that nests too deep must be refused before it is parsed.
pub(super) fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let looked = thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || look(text));
        thread.map(|thread| thread.join())
    });
    if let Ok(Err(panic)) = looked {
        std::panic::resume_unwind(panic);
    }
}

/// A text that is kept can be compiled, and says as much as was counted.
fn look(text: &str) {
    let Ok(checked) = check(text) else { unreachable!("the schema of policies cannot be read") };
    assert!(checked.problems.iter().all(|problem| problem.start.line >= 1 && problem.start.column >= 1));
    if checked.error().is_some() {
        assert_eq!(checked.count(), 0);
        return;
    }
    assert!(text.len() <= TEXT_BYTES_MAX && checked.count() >= 1);
    let source = Source { id: PolicyId::from_bits(1), name: "a policy".to_owned(), text: text.to_owned() };
    let Ok(compiled) = Compiled::of(vec![source]) else { unreachable!("a text that is kept cannot be compiled") };
    assert_eq!(compiled.count() as u64, checked.count());
    let person = Who {
        actor: ActorKey::User(UserId::from_bits(1)),
        person: Some(UserId::from_bits(1)),
        teams: [TeamId::from_bits(5)].into(),
        subject: Arc::new(Subject {
            role: Role::Editor.to_string(),
            email_domain: "example.org".to_owned(),
            granted: Role::Editor.permissions(),
        }),
        multi_factor: false,
    };
    let gained = decide(&compiled, &person);
    assert!(checked.permits().contains_all(gained), "more is given than the text permits");
    let key = Who { actor: ActorKey::ApiKey(ApiKeyId::from_bits(2)), ..person };
    assert!(decide(&compiled, &key).is_empty(), "a key gets more than its role");
}

/// What they get beyond their role. Both ways to ask give one answer, and nothing of the installation is given.
fn decide(compiled: &Compiled, who: &Who) -> Permissions {
    static FACTS: LazyLock<Facts> = LazyLock::new(Facts::new);
    let address = IpAddr::from([192, 0, 2, 1]);
    let question = Question {
        who,
        id: Some("col_1"),
        within: &[],
        path: "/api/v1/collections/col_1",
        moment: Moment::new(Some(address), NOON, "GET"),
    };
    let (granted, more) = (who.subject.granted, who.may_get_more());
    let Ok(mut scene) = FACTS.scene(&question) else { unreachable!("a request cannot be said in Cedar's words") };
    let Ok(allowed) = compiled.allowed(granted, more, &mut scene) else { unreachable!("nothing is decided") };
    for permission in Permission::ALL.iter().copied() {
        let decision = compiled.decide(permission, granted, more, &mut scene);
        let is_allowed = decision.is_ok_and(|decision| decision.is_allowed());
        assert_eq!(is_allowed, allowed.contains(permission), "{permission}");
    }
    let gained = allowed.without(granted);
    assert!(INSTALLATION.iter().all(|permission| !gained.contains(*permission)), "a policy gives the installation");
    gained
}
