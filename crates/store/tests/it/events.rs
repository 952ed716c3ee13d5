use std::collections::HashSet;

use plasma_kernel::{Ctx, PageRequest};
use plasma_store::{EventFilter, EventPosition, NewEvent, Store};
use plasma_testkit::{TestStore, on_each_database, system, tenant};

async fn emit(store: &Store, ctx: &Ctx, kind: &'static str, number: usize) {
    let mut tx = store.begin(ctx).await.unwrap();
    tx.emit(NewEvent::new(kind, number, serde_json::json!({ "number": number }))).await.unwrap();
    tx.commit().await.unwrap();
}

on_each_database! {
    async fn a_consumer_gets_a_batch_again_until_it_commits(test: TestStore) {
        let (ctx, system) = (tenant(), system());
        for number in 0..5 {
            emit(&test, &ctx, "test.happened", number).await;
        }
        come_through(&test, &ctx, 5).await;
        let consumer = test.consumer("again");
        let first = consumer.next_batch(&system, 3).await.unwrap();
        assert_eq!(first.len(), 3);
        // It crashed before it committed: another process reads the same events.
        let other = test.open_again().await;
        let again = other.consumer("again").next_batch(&system, 3).await.unwrap();
        assert_eq!(
            first.iter().map(|event| event.id).collect::<Vec<_>>(),
            again.iter().map(|event| event.id).collect::<Vec<_>>()
        );
        consumer.commit(&system, again[2].position).await.unwrap();
        let rest = consumer.next_batch(&system, 10).await.unwrap();
        assert_eq!(rest.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>(), ["3", "4"]);
        // A late commit of an older position does not move it back.
        consumer.commit(&system, first[0].position).await.unwrap();
        assert_eq!(consumer.next_batch(&system, 10).await.unwrap().len(), 2);
    }

    async fn a_reader_that_follows_parallel_writers_misses_and_doubles_nothing(test: TestStore) {
        const WRITERS: usize = 8;
        const EACH: usize = 40;
        let ctx = tenant();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, ctx) = (test.store(), ctx.clone());
                tokio::spawn(async move {
                    for number in 0..EACH {
                        let mut tx = store.begin(&ctx).await.unwrap();
                        let subject = writer * EACH + number;
                        tx.emit(NewEvent::new("test.happened", subject, serde_json::json!({}))).await.unwrap();
                        // Transactions overlap and end in another order than they began.
                        tokio::time::sleep(std::time::Duration::from_micros((subject as u64 * 7919) % 900)).await;
                        if number % 5 == 4 {
                            drop(tx);
                        } else {
                            tx.commit().await.unwrap();
                        }
                    }
                })
            })
            .collect();
        let expected = WRITERS * EACH * 4 / 5;
        let mut seen = HashSet::new();
        let mut position = EventPosition::START;
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        while seen.len() < expected && tokio::time::Instant::now() < deadline {
            let events = test.read(&ctx).await.unwrap().events_after(position, 7).await.unwrap();
            for event in events {
                assert!(event.position > position, "out of order");
                position = event.position;
                assert!(seen.insert(event.subject.clone()), "event {} came twice", event.subject);
            }
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(seen.len(), expected);
    }

    async fn a_list_pages_from_the_newest_and_filters_by_prefix(test: TestStore) {
        let ctx = tenant();
        for number in 0..5 {
            emit(&test, &ctx, "test.counted", number).await;
        }
        emit(&test, &ctx, "testing.other", 9).await;
        let filter = EventFilter { kind: Some("test.*".to_owned()) };
        let mut tx = test.read(&ctx).await.unwrap();
        let first = tx.events_page(&filter, &PageRequest { limit: 3, cursor: None }).await.unwrap();
        assert_eq!(first.data.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>(), ["4", "3", "2"]);
        assert!(first.has_more);
        let rest = tx.events_page(&filter, &PageRequest { limit: 3, cursor: first.next_cursor }).await.unwrap();
        assert_eq!(rest.data.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>(), ["1", "0"]);
        assert!(!rest.has_more && rest.next_cursor.is_none());
        let exact = EventFilter { kind: Some("testing.other".to_owned()) };
        assert_eq!(tx.events_page(&exact, &PageRequest::default()).await.unwrap().data.len(), 1);
        let wrong = PageRequest { limit: 3, cursor: Some("nonsense".to_owned()) };
        assert_eq!(tx.events_page(&filter, &wrong).await.unwrap_err().field_name(), Some("cursor"));
    }

    async fn another_tenants_event_is_no_place_to_resume_from(test: TestStore) {
        let (ours, theirs) = (tenant(), tenant());
        emit(&test, &theirs, "test.happened", 1).await;
        // Whoever follows the log waits for transactions elsewhere in the server; a page does not.
        let any = EventFilter { kind: None };
        let page = test.read(&theirs).await.unwrap().events_page(&any, &PageRequest::default()).await.unwrap();
        let id = page.data[0].id;
        assert!(test.read(&theirs).await.unwrap().event_position(id).await.is_ok());
        let error = test.read(&ours).await.unwrap().event_position(id).await.unwrap_err();
        assert_eq!(error.reason(), "event_not_found");
    }
}

/// Waits until whoever follows the log sees so many events: on Postgres it waits for transactions elsewhere in the server, such as those of other
/// tests.
async fn come_through(test: &TestStore, ctx: &Ctx, count: usize) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while test.read(ctx).await.unwrap().events_after(EventPosition::START, 1_000).await.unwrap().len() < count {
        assert!(tokio::time::Instant::now() < deadline, "the events do not come through");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// The trap by name: an earlier id commits after a later one. A reader that only remembers the largest id loses it.
#[tokio::test]
async fn on_postgres_a_reader_waits_for_the_transaction_that_is_still_open() {
    let test = TestStore::postgres().await;
    let ctx = tenant();
    let mut slow = test.begin(&ctx).await.unwrap();
    slow.emit(NewEvent::new("test.happened", "slow", serde_json::json!({}))).await.unwrap();
    emit(&test, &ctx, "test.happened", 2).await;
    let before = test.read(&ctx).await.unwrap().events_after(EventPosition::START, 10).await.unwrap();
    assert!(before.is_empty(), "the reader stepped over an open transaction");
    assert_eq!(test.read(&ctx).await.unwrap().events_head().await.unwrap(), EventPosition::START);
    slow.commit().await.unwrap();
    come_through(&test, &ctx, 2).await;
    let after = test.read(&ctx).await.unwrap().events_after(EventPosition::START, 10).await.unwrap();
    assert_eq!(after.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>(), ["slow", "2"]);
}

#[tokio::test]
async fn a_commit_wakes_whoever_follows_the_log() {
    let test = TestStore::sqlite().await;
    let mut committed = test.committed_events();
    committed.mark_unchanged();
    emit(&test, &tenant(), "test.happened", 1).await;
    tokio::time::timeout(std::time::Duration::from_secs(1), committed.changed()).await.unwrap().unwrap();
}
