//! kill -9 at any moment loses nothing that was acknowledged.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use plasma_vectors::{Change, Compaction, Effort, Metric, Search, VectorIndex};

use crate::support::{Random, assert_same, brute, clustered, small};

const FOLDER: &str = "PLASMA_VECTORS_CRASH_FOLDER";
/// How often the writer is killed. The full run has 200.
const ROUNDS: &str = "PLASMA_VECTORS_CRASH_ROUNDS";
const DIMENSIONS: usize = 8;

/// The changes of a step, the same in every process.
fn changes(step: u64) -> Vec<(u128, Option<Vec<f32>>)> {
    let mut random = Random::new(step);
    let count = 1 + random.below(12) as usize;
    clustered(count, DIMENSIONS, step)
        .into_iter()
        .map(|vector| (u128::from(random.below(1_500)), (random.below(4) > 0).then_some(vector)))
        .collect()
}

/// The writer that is killed: says each step that was acknowledged.
#[test]
#[ignore = "the other test starts it in a process of its own"]
fn writer() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let index = VectorIndex::open(&folder, small(DIMENSIONS, Metric::L2)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0_u64.. {
                index.compact(if number % 5 == 0 { Compaction::Full } else { Compaction::Due }, 1).unwrap();
                let copy = Path::new(&folder).with_file_name("copy");
                // Without its manifest a copy is none, also while the rest is being removed.
                let _ = std::fs::remove_file(copy.join("MANIFEST"));
                let _ = std::fs::remove_dir_all(&copy);
                index.snapshot(&copy).unwrap();
            }
        });
        for step in index.position().unwrap_or(0) + 1.. {
            let changes = changes(step);
            if step % 50 == 0 {
                let mut bulk = index.bulk().unwrap();
                for (key, vector) in &changes {
                    bulk.push(*key, vector.as_ref().unwrap_or(&vec![1.0; DIMENSIONS])).unwrap();
                }
                bulk.finish(Some(step), 1).unwrap();
            } else {
                let list = changes.iter().map(|(key, vector)| match vector {
                    Some(vector) => Change::Insert { key: *key, vector },
                    None => Change::Delete { key: *key },
                });
                index.apply(list, Some(step)).unwrap();
            }
            let mut output = std::io::stdout().lock();
            writeln!(output, "done {step}").unwrap();
            output.flush().unwrap();
        }
    });
}

fn check(folder: &Path, acknowledged: u64) -> u64 {
    let index = VectorIndex::open(folder, small(DIMENSIONS, Metric::L2)).unwrap();
    let position = index.position().unwrap_or(0);
    assert!(position >= acknowledged, "step {acknowledged} was acknowledged, the index ends at {position}");
    let mut model = HashMap::new();
    for step in 1..=position {
        for (key, vector) in changes(step) {
            match vector.or_else(|| (step % 50 == 0).then(|| vec![1.0; DIMENSIONS])) {
                Some(vector) => model.insert(key, vector),
                None => model.remove(&key),
            };
        }
    }
    let view = index.view();
    view.verify().unwrap();
    let mut keys: Vec<u128> = view.iter().map(|(_, key)| key).collect();
    keys.sort_unstable();
    let mut expected: Vec<u128> = model.keys().copied().collect();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    for query in clustered(3, DIMENSIONS, position) {
        let expected = brute(Metric::L2, model.iter().map(|(key, vector)| (*key, vector)), &query, 10);
        let hits = view.search(&query, &Search::new(10).effort(Effort::ALL)).unwrap().hits;
        assert_same(&hits, &expected, 1e-4, "after the crash");
    }
    position
}

#[test]
fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("index");
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8);
    let mut random = Random::new(5);
    let mut position = 0;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writer", "--ignored", "--nocapture"])
            .env(FOLDER, &home)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let steps = 1 + random.below(120);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut acknowledged = position;
        let mut note = |line: &str| {
            if let Some((_, step)) = line.split_once("done ") {
                acknowledged = step.parse().unwrap();
                return true;
            }
            false
        };
        let mut seen = 0;
        while seen < steps {
            seen += u64::from(note(&lines.next().expect("the writer ended by itself")));
        }
        // A moment that has nothing to do with the end of a step.
        for _ in 0..random.below(2_000_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            // The last line may be torn as well.
            if line.starts_with("done ") && line.len() > 5 {
                let _ = line.strip_prefix("done ").and_then(|step| step.parse::<u64>().ok()).map(|_| note(&line));
            }
        }
        position = check(&home, acknowledged);
        assert!(position > 0, "round {round}");
        let copy = home.with_file_name("copy");
        if copy.join("MANIFEST").exists() {
            check(&copy, 0);
        }
    }
}
