//! Backups of a running server, and servers that are started on them.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, Plasma, program};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    program().args(arguments).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What a search finds, as soon as the index is made again.
async fn found(server: &Plasma, collection: &str) -> Value {
    let begun = Instant::now();
    loop {
        let search = json!({"collection": collection, "query": "marzipan", "mode": "text"});
        let answer = server.post("/api/v1/search", search).await;
        if answer["results"].as_array().is_some_and(|results| !results.is_empty()) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_is_backed_up_and_another_starts_from_it() {
    let place = Place::sqlite();
    let server = place.start();
    let folder = place.folder.path();
    let collection = server.create_collection("secrets").await;
    server.add_text(&collection, "The vault", "The vault opens with the word marzipan.").await;
    server.settled(&collection).await;
    let recipient = said(&run(folder, &["backup", "keygen", "--to", "identity"]));
    fs::write(folder.join("recipient"), &recipient).unwrap();
    let data = place.setup.data_dir.to_str().unwrap();
    let create = ["backup", "create", "--data-dir", data, "--to", "one.backup", "--with-master-key"];
    assert!(refused(&run(folder, &create)).contains("keygen"));
    let made = said(&run(folder, &[create.as_slice(), &["--recipient", recipient.trim()]].concat()));
    assert!(made.starts_with("one.backup: "), "{made}");
    assert!(
        refused(&run(folder, &[create.as_slice(), &["--recipient", "recipient"]].concat())).contains("exists already")
    );
    // The server knows of it, and went on.
    let status = server.get("/api/v1/installation/encryption").await;
    assert!(status["last_backup"]["files"].as_u64().unwrap() >= 3, "{status}");
    server.add_text(&collection, "Later", "Written after the backup: marzipan.").await;
    // A folder gets a file with the time in its name; whoever is named by a file can open it too.
    fs::create_dir(folder.join("backups")).unwrap();
    let into_folder = ["backup", "create", "--data-dir", data, "--to", "backups", "--recipient", "recipient"];
    assert!(said(&run(folder, &into_folder)).contains("the master key is not in it"));
    assert_eq!(fs::read_dir(folder.join("backups")).unwrap().count(), 1);

    let verified = said(&run(folder, &["backup", "verify", "one.backup", "--identity", "identity"]));
    assert!(verified.starts_with("whole: ") && verified.contains("with the master key"), "{verified}");
    let restore = ["backup", "restore", "one.backup", "--identity", "identity", "--data-dir"];
    assert!(refused(&run(folder, &[restore.as_slice(), &[data]].concat())).contains("another plasma"));
    said(&run(folder, &[restore.as_slice(), &["restored"]].concat()));
    let mut setup = place.setup.clone();
    setup.data_dir = folder.join("restored");
    let other = Plasma::start(&setup);
    let answer = found(&other, &collection).await;
    assert_eq!(answer["results"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["results"][0]["title"], "The vault");
    let documents = other.all(&format!("/api/v1/collections/{collection}/documents")).await;
    let id = documents[0]["id"].as_str().unwrap();
    let text = other.owner(Method::GET, &format!("/api/v1/collections/{collection}/documents/{id}/text")).send().await;
    assert!(text.unwrap().text().await.unwrap().contains("marzipan"));
    assert!(other.stop().success());
    assert!(refused(&run(folder, &[restore.as_slice(), &["restored"]].concat())).contains("not empty"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_and_wrong_keys_are_told() {
    let place = Place::sqlite();
    drop(place.start());
    let folder = place.folder.path();
    fs::write(folder.join("passphrase"), "some words that belong to nobody\n").unwrap();
    fs::write(folder.join("short"), "too short\n").unwrap();
    fs::write(folder.join("other"), "some words that belong to somebody\n").unwrap();
    let data = place.setup.data_dir.to_str().unwrap();
    let create = ["backup", "create", "--data-dir", data, "--to", "b", "--passphrase-file"];
    assert!(refused(&run(folder, &[create.as_slice(), &["short"]].concat())).contains("at least 12"));
    said(&run(folder, &[create.as_slice(), &["passphrase"]].concat()));
    let verify = |file: &str, passphrase: &str| {
        run(folder, &["backup", "verify", file, "--passphrase-file", passphrase, "--json"])
    };
    let summary: Value = serde_json::from_str(&said(&verify("b", "passphrase"))).unwrap();
    assert_eq!(
        (summary["database"].as_bool(), summary["master_key"].as_bool()),
        (Some(true), Some(false)),
        "{summary}"
    );
    assert!(refused(&verify("b", "other")).contains("passphrase is not the one"));
    let mut bytes = fs::read(folder.join("b")).unwrap();
    fs::write(folder.join("cut"), &bytes[..bytes.len() - 1_000]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(folder.join("changed"), &bytes).unwrap();
    assert!(refused(&verify("cut", "passphrase")).contains("cut off"));
    assert!(refused(&verify("changed", "passphrase")).contains("damaged"));
    let restore = ["backup", "restore", "changed", "--passphrase-file", "passphrase", "--data-dir", "new"];
    assert!(refused(&run(folder, &restore)).contains("damaged"));
    assert!(!folder.join("new/plasma.db").exists());
}

#[test]
fn a_dump_goes_through_seal_and_open() {
    let folder = tempfile::tempdir().unwrap();
    let dump: Vec<u8> = (0..300_000_u32).map(|number| (number % 253) as u8).collect();
    fs::write(folder.path().join("dump"), &dump).unwrap();
    fs::write(folder.path().join("passphrase"), "some words that belong to nobody").unwrap();
    let pipe = |verb: &str, from: &str, to: &str| {
        program()
            .args(["backup", verb, "--passphrase-file", "passphrase"])
            .stdin(Stdio::from(fs::File::open(folder.path().join(from)).unwrap()))
            .stdout(Stdio::from(fs::File::create(folder.path().join(to)).unwrap()))
            .current_dir(folder.path())
            .status()
            .unwrap()
    };
    assert!(pipe("seal", "dump", "sealed").success());
    assert!(!fs::read(folder.path().join("sealed")).unwrap().windows(64).any(|window| window == &dump[..64]));
    assert!(pipe("open", "sealed", "opened").success());
    assert_eq!(fs::read(folder.path().join("opened")).unwrap(), dump);
    let sealed = fs::read(folder.path().join("sealed")).unwrap();
    fs::write(folder.path().join("sealed"), &sealed[..sealed.len() - 10]).unwrap();
    assert!(!pipe("open", "sealed", "opened").success());
}
