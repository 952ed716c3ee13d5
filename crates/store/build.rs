//! Embeds `migrations/` into the crate: `NNNN_name.sql` runs everywhere, `NNNN_name.sqlite.sql` and
//! `NNNN_name.postgres.sql` on one engine. A new migration is a new file and nothing else.

#![allow(clippy::expect_used, clippy::panic)] // a wrong migration must stop the build

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::PathBuf};

fn main() {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../migrations");
    println!("cargo:rerun-if-changed={}", folder.display());
    // Number -> (name, SQLite file, Postgres file).
    let mut migrations: BTreeMap<u32, (String, Option<PathBuf>, Option<PathBuf>)> = BTreeMap::new();
    for entry in fs::read_dir(&folder).expect("the migrations folder is part of the sources") {
        let path = entry.expect("a readable folder").path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let Some(stem) = file.strip_suffix(".sql") else { continue };
        let (stem, engine) = match stem.rsplit_once('.') {
            Some((stem, engine)) => (stem, Some(engine)),
            None => (stem, None),
        };
        let (number, name) = stem.split_once('_').unwrap_or_else(|| panic!("{file}: expected NNNN_name.sql"));
        let number: u32 = number.parse().unwrap_or_else(|_| panic!("{file}: expected four digits first"));
        let path = fs::canonicalize(&path).expect("the file exists");
        let slot = migrations.entry(number).or_insert_with(|| (name.to_owned(), None, None));
        assert_eq!(slot.0, name, "two migrations have the number {number}");
        match engine {
            None => {
                assert!(slot.1.is_none() && slot.2.is_none(), "two migrations have the number {number}");
                slot.1 = Some(path.clone());
                slot.2 = Some(path);
            }
            Some("sqlite") => slot.1 = Some(path),
            Some("postgres") => slot.2 = Some(path),
            Some(other) => panic!("{file}: unknown engine `{other}`"),
        }
    }
    let mut code = String::from("pub(crate) const MIGRATIONS: &[Migration] = &[\n");
    for (number, (name, sqlite, postgres)) in migrations {
        let sqlite = sqlite.unwrap_or_else(|| panic!("migration {number} has no SQLite form"));
        let postgres = postgres.unwrap_or_else(|| panic!("migration {number} has no Postgres form"));
        writeln!(
            code,
            "    Migration {{ number: {number}, name: {name:?}, sqlite: include_str!({sqlite:?}), postgres: include_str!({postgres:?}) }},"
        )
        .expect("writing to a string");
    }
    code.push_str("];\n");
    let target = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("migrations.rs");
    fs::write(target, code).expect("the build folder is writable");
}
