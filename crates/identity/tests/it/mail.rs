//! Mail as it leaves: files of the outbox, and a server that takes it.

use std::{sync::Arc, time::Duration};

use plasma_identity::{IdentityConfig, mail::Mail};
use plasma_testkit::on_each_database;
use plasma_workflows::Workflows;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use crate::support::{World, secret};

/// Waits end with a failure after so many looks.
const LOOKS_MAX: usize = 300;

/// Lets this process send mail.
pub async fn start_workers(world: &World) -> Workflows {
    let workflows = Workflows::new(world.store.clone(), world.system());
    world.identity.register_steps(&workflows);
    workflows.start(true).await.unwrap();
    workflows
}

/// The mails of the outbox, oldest first, with soft line breaks undone.
pub fn outbox(world: &World) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(world.store.data_dir().join("outbox")) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| name.extension().is_some_and(|extension| extension == "eml"));
    names.sort();
    names.iter().map(|name| std::fs::read_to_string(name).unwrap().replace("=\r\n", "").replace("=3D", "=")).collect()
}

/// Waits until the outbox has so many mails.
pub async fn mails(world: &World, count: usize) -> Vec<String> {
    for _ in 0..LOOKS_MAX {
        let mails = outbox(world);
        if mails.len() >= count {
            return mails;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{count} mails were expected, {} came", outbox(world).len());
}

/// The token of the link in a mail.
pub fn token_in(mail: &str) -> String {
    let (_, rest) = mail.split_once("#token=").unwrap_or_else(|| panic!("no link in {mail}"));
    rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

/// Waits until no job is on its way any more.
pub async fn settled(world: &World) {
    for _ in 0..LOOKS_MAX {
        let mut tx = world.store.read(&world.system()).await.unwrap();
        let row =
            tx.fetch_one("SELECT COUNT(*) AS jobs FROM jobs WHERE state IN ('queued', 'running')", []).await.unwrap();
        drop(tx);
        if row.get::<i64>("jobs").unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("jobs are still on their way");
}

/// A server for mail: says no to the first `refusals` mails, for now, and keeps the others.
struct MailServer {
    url: String,
    taken: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    async fn start(refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        tokio::spawn(async move {
            let mut refusals = refusals;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Some(mail) = serve(stream, refusals > 0).await {
                    kept.lock().await.push(mail);
                }
                refusals = refusals.saturating_sub(1);
            }
        });
        Self { url, taken }
    }
}

/// Speaks SMTP with one client. Returns the mail that it brought.
async fn serve(stream: TcpStream, refuse: bool) -> Option<String> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 mail.test\r\n").await.unwrap();
    let mut mail = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: &[u8] = match line.split([' ', ':']).next().unwrap_or("") {
            "EHLO" | "HELO" => b"250 mail.test\r\n",
            "MAIL" if refuse => b"451 not now\r\n",
            "DATA" => {
                writing.write_all(b"354 go on\r\n").await.unwrap();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    mail.push_str(&line);
                    mail.push('\n');
                }
                b"250 taken\r\n"
            }
            "QUIT" => {
                let _ = writing.write_all(b"221 bye\r\n").await;
                break;
            }
            _ => b"250 fine\r\n",
        };
        if writing.write_all(answer).await.is_err() {
            break;
        }
    }
    (!mail.is_empty()).then_some(mail)
}

async fn queue(world: &World, text: &str) {
    let mut tx = world.store.begin(&world.owner).await.unwrap();
    let mail = Mail { to: "ada@example.org".to_owned(), subject: "Hello".to_owned(), text: text.to_owned() };
    world.identity.queue_mail(&mut tx, mail).await.unwrap();
    tx.commit().await.unwrap();
}

on_each_database! {
    async fn a_mail_leaves_only_if_its_transaction_commits(test: TestStore) {
        let world = World::new(test.store()).await;
        let workflows = start_workers(&world).await;
        let mut tx = world.store.begin(&world.owner).await.unwrap();
        let mail = Mail { to: "ada@example.org".to_owned(), subject: "Undone".to_owned(), text: "Undone".to_owned() };
        world.identity.queue_mail(&mut tx, mail).await.unwrap();
        drop(tx);
        queue(&world, "The vault opens with marzipan.").await;
        let sent = mails(&world, 1).await;
        settled(&world).await;
        assert_eq!(outbox(&world).len(), 1);
        assert!(sent[0].contains("To: ada@example.org") && sent[0].contains("From: "), "{}", sent[0]);
        assert!(sent[0].contains("Subject: Hello") && sent[0].contains("marzipan"), "{}", sent[0]);
        let sent = world.events(&world.owner).await.into_iter().filter(|event| event.0 == "identity.mail.sent").count();
        assert_eq!(sent, 1);
        workflows.stop().await;
    }

    async fn a_mail_that_waits_is_sealed_and_gone_when_it_is_sent(test: TestStore) {
        let world = World::new(test.store()).await;
        queue(&world, "The vault opens with marzipan.").await;
        let sealed = async || {
            let mut tx = world.store.read(&world.system()).await.unwrap();
            let rows = tx.fetch_all("SELECT sealed FROM mails", []).await.unwrap();
            rows.iter().map(|row| row.get::<Vec<u8>>("sealed").unwrap()).collect::<Vec<_>>()
        };
        let waiting = sealed().await;
        assert_eq!(waiting.len(), 1);
        let text = String::from_utf8_lossy(&waiting[0]).into_owned();
        assert!(!text.contains("marzipan") && !text.contains("ada@"));
        let mut tx = world.store.read(&world.system()).await.unwrap();
        let job = tx.fetch_one("SELECT payload FROM jobs WHERE kind = 'identity.mail'", []).await.unwrap();
        drop(tx);
        assert!(!job.get::<String>("payload").unwrap().contains("marzipan"));
        let workflows = start_workers(&world).await;
        mails(&world, 1).await;
        settled(&world).await;
        assert!(sealed().await.is_empty());
        workflows.stop().await;
    }

    async fn a_server_that_says_not_now_is_asked_again(test: TestStore) {
        let server = MailServer::start(1).await;
        let config = IdentityConfig {
            smtp_url: Some(secret(&server.url)),
            mail_from: Some("Plasma <plasma@example.com>".to_owned()),
            ..IdentityConfig::default()
        };
        config.check().unwrap();
        let world = World::with_config(test.store(), config).await;
        let workflows = start_workers(&world).await;
        queue(&world, "Second time lucky.").await;
        let mut looks = 0;
        while server.taken.lock().await.is_empty() {
            looks += 1;
            assert!(looks < LOOKS_MAX, "no mail came");
            // The wait between two attempts is over.
            world.clock.advance(Duration::from_secs(2));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        settled(&world).await;
        let taken = server.taken.lock().await.clone();
        assert_eq!(taken.len(), 1);
        assert!(taken[0].contains("Second time lucky.") && taken[0].contains("From: Plasma <plasma@example.com>"), "{}", taken[0]);
        assert!(outbox(&world).is_empty());
        workflows.stop().await;
    }
}
