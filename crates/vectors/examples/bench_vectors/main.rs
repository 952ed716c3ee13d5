//! Measures the index on a file of vectors (32-bit little-endian floats, a row after the other) or on synthetic ones made from
//! it. Prints one line of JSON for each measurement; `benches/vector` makes a table of them.
//!
//! Half of the queries calibrate, the other half is measured.

mod data;
mod machine;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use plasma_vectors::{AllowSet, CalibrationOptions, Effort, Hit, Metric, Options, Search, Storage, VectorIndex, View};

type Failure = Box<dyn std::error::Error>;

/// Vectors that the allow set of the filtered measurement leaves.
const SELECTIVITY: f64 = 0.01;

struct Arguments(HashMap<String, String>);

impl Arguments {
    fn read() -> Result<Self, Failure> {
        let mut pairs = HashMap::new();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or("arguments are pairs of --name and value")?;
            pairs.insert(name.to_owned(), words.next().ok_or("an argument lacks its value")?);
        }
        Ok(Self(pairs))
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Failure> {
        Ok(self.0.get(name).map_or(Ok(default), |value| value.parse())?)
    }

    fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| default.to_owned())
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::read()?;
    let dimensions = arguments.number("dimensions", 384)?;
    let mut queries = data::read(&PathBuf::from(arguments.text("queries", "queries.f32")), dimensions)?;
    let folder = PathBuf::from(arguments.text("folder", "index"));
    let threads = arguments.number("threads", 2)?;
    let mut options = Options::new(dimensions, Metric::Cosine);
    options.partition_from_rows = arguments.number("partition-from", options.partition_from_rows)?;
    options.partition_rows = arguments.number("partition-rows", options.partition_rows)?;
    options.spill_ratio = arguments.text("spill", "1").parse()?;
    if arguments.text("storage", "f32") == "f16" {
        options.storage = Storage::F16;
    }
    queries.truncate(arguments.number("queries-max", 2_000)?);
    let synthetic = arguments.number("synthetic", 0)? as u64;
    let base = PathBuf::from(arguments.text("base", "base.f32"));
    if synthetic > 0 {
        let generator = data::Generator::new(data::read(&base, dimensions)?);
        queries = (0..queries.len() as u64).map(|at| generator.row((1 << 40) + at)).collect();
        if let Some(file) = arguments.0.get("write") {
            return data::write(&generator, synthetic, &queries, &PathBuf::from(file));
        }
        if !folder.exists() {
            return build(&folder, options, threads, (0..synthetic).map(|at| generator.row(at)));
        }
    } else if !folder.exists() {
        return build(&folder, options, threads, data::read(&base, dimensions)?.into_iter());
    }
    let before = machine::anonymous_mb()?;
    let begun = Instant::now();
    let index = VectorIndex::open(&folder, options)?;
    let stats = index.stats();
    println!(
        "{{\"what\":\"open\",\"open_s\":{:.3},\"vectors\":{},\"partitions\":{},\"own_memory_mb\":{:.1},\"memory_mb\":{:.1},\"disk_mb\":{:.1}}}",
        begun.elapsed().as_secs_f64(),
        stats.vectors,
        stats.partitions,
        stats.memory_bytes as f64 / 1e6,
        machine::anonymous_mb()? - before,
        stats.disk_bytes as f64 / 1e6,
    );
    measure(&index, &queries, &arguments, threads)
}

/// Builds and ends: what building leaves in memory is then not counted as the index's.
fn build(
    folder: &Path,
    options: Options,
    threads: usize,
    vectors: impl Iterator<Item = Vec<f32>>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let index = VectorIndex::open(folder, options)?;
    let mut bulk = index.bulk()?;
    for (key, vector) in vectors.enumerate() {
        bulk.push(key as u128, &vector)?;
    }
    let staged = begun.elapsed().as_secs_f64();
    bulk.finish(None, threads)?;
    let all = begun.elapsed().as_secs_f64();
    println!("{{\"what\":\"build\",\"stage_s\":{staged:.2},\"s\":{:.2}}}", all - staged);
    Ok(())
}

fn measure(index: &VectorIndex, queries: &[Vec<f32>], arguments: &Arguments, threads: usize) -> Result<(), Failure> {
    let (calibrating, measured) = queries.split_at(queries.len() / 2);
    let begun = Instant::now();
    let view = index.view();
    let truth = view.search_exact(measured, 10, None, threads)?;
    println!("{{\"what\":\"exact\",\"queries\":{},\"s\":{:.2}}}", measured.len(), begun.elapsed().as_secs_f64());
    let selected = selected(&view);
    let selected_truth = view.search_exact(measured, 10, Some(&selected), threads)?;
    if arguments.0.contains_key("sweep") {
        return sweep(&view, measured, &truth);
    }
    for target in [0.99, 0.999] {
        let begun = Instant::now();
        let options = CalibrationOptions { threads, ..CalibrationOptions::new(target) };
        let calibration = index.calibrate(calibrating, &options)?;
        println!(
            "{{\"what\":\"calibrate\",\"target\":{target},\"s\":{:.1},\"recall\":{:.5},\"low\":{:.5},\"high\":{:.5},\"reach\":{:.3},\"rescored\":{}}}",
            begun.elapsed().as_secs_f64(),
            calibration.recall,
            calibration.recall_low,
            calibration.recall_high,
            calibration.effort.reach,
            calibration.effort.rescored,
        );
        let view = index.view();
        let name = |kind: &str| format!("\"target\":{target},{kind}");
        for threads in [1, 2] {
            let search = Search::new(10).threads(threads);
            report(&name(&format!("\"filter\":1,\"threads\":{threads}")), &view, measured, &truth, &search)?;
        }
        let (queries_per_s, timed) = throughput(&view, measured)?;
        println!(
            "{{\"what\":\"throughput\",\"target\":{target},\"threads\":2,\"queries_per_s\":{queries_per_s:.0},\"mean_ms\":{:.4},\"p99_ms\":{:.4}}}",
            timed.mean_ms(),
            timed.part_ms(0.99),
        );
        let search = Search::new(10).allow(&selected);
        report(&name("\"filter\":0.01,\"threads\":1"), &view, measured, &selected_truth, &search)?;
    }
    let (anonymous, mapped) = (machine::anonymous_mb()?, machine::mapped_mb()?);
    println!("{{\"what\":\"end\",\"anonymous_mb\":{anonymous:.1},\"mapped_mb\":{mapped:.1}}}");
    Ok(())
}

/// Two threads, each with its own queries: how many a second both answer together, and how long each took.
fn throughput(view: &View, queries: &[Vec<f32>]) -> Result<(f64, Timed), Failure> {
    let (left, right) = queries.split_at(queries.len() / 2);
    let work = |queries: &[Vec<f32>]| -> Result<Vec<Duration>, plasma_vectors::Error> {
        let timed = |query: &Vec<f32>| {
            let begun = Instant::now();
            view.search(query, &Search::new(10)).map(|_| begun.elapsed())
        };
        queries.iter().map(timed).collect()
    };
    let begun = Instant::now();
    let (first, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| work(right));
        let first = work(left);
        (first, other.join())
    });
    let queries_per_s = queries.len() as f64 / begun.elapsed().as_secs_f64();
    let mut timed = Timed { times: first?, ..Timed::default() };
    timed.times.extend(other.map_err(|_| "a thread panicked")??);
    timed.times.sort_unstable();
    Ok((queries_per_s, timed))
}

/// One vector of a hundred, chosen by its key and not by what it says.
fn selected(view: &View) -> AllowSet {
    let mut allow = AllowSet::none(view);
    for (slot, key) in view.iter() {
        let mixed = (key as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if ((mixed ^ (mixed >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / ((1_u64 << 53) as f64)
            < SELECTIVITY
        {
            allow.insert(slot);
        }
    }
    allow
}

fn recall(hits: &[Hit], truth: &[Hit]) -> f64 {
    let floor = truth.last().map_or(0.0, |hit| hit.score - 1e-6);
    let good = hits.iter().filter(|hit| hit.score >= floor).count();
    good.min(truth.len()) as f64 / truth.len().max(1) as f64
}

#[derive(Default)]
struct Timed {
    times: Vec<Duration>,
    recall: f64,
    scanned: f64,
    partitions: f64,
    compared: f64,
}

fn time(view: &View, queries: &[Vec<f32>], truth: &[Vec<Hit>], search: &Search<'_>) -> Result<Timed, Failure> {
    let mut timed = Timed::default();
    for query in queries.iter().take(100) {
        view.search(query, search)?;
    }
    let count = queries.len() as f64;
    for (query, truth) in queries.iter().zip(truth) {
        let begun = Instant::now();
        let found = view.search(query, search)?;
        timed.times.push(begun.elapsed());
        timed.recall += recall(&found.hits, truth) / count;
        timed.scanned += found.work.scanned as f64 / count;
        timed.partitions += found.work.partitions as f64 / count;
        timed.compared += found.work.compared as f64 / count;
    }
    timed.times.sort_unstable();
    Ok(timed)
}

impl Timed {
    fn mean_ms(&self) -> f64 {
        self.times.iter().sum::<Duration>().as_secs_f64() * 1e3 / self.times.len().max(1) as f64
    }

    fn part_ms(&self, part: f64) -> f64 {
        let at = ((self.times.len() as f64 * part) as usize).min(self.times.len().saturating_sub(1));
        self.times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

fn report(
    name: &str,
    view: &View,
    queries: &[Vec<f32>],
    truth: &[Vec<Hit>],
    search: &Search<'_>,
) -> Result<(), Failure> {
    let timed = time(view, queries, truth, search)?;
    println!(
        "{{\"what\":\"search\",{name},\"recall\":{:.5},\"mean_ms\":{:.4},\"p50_ms\":{:.4},\"p99_ms\":{:.4},\"scanned\":{:.0},\"partitions\":{:.0},\"compared\":{:.0}}}",
        timed.recall,
        timed.mean_ms(),
        timed.part_ms(0.5),
        timed.part_ms(0.99),
        timed.scanned,
        timed.partitions,
        timed.compared,
    );
    Ok(())
}

/// Recall and work for many efforts: what the constants of the crate were chosen by.
fn sweep(view: &View, queries: &[Vec<f32>], truth: &[Vec<Hit>]) -> Result<(), Failure> {
    for reach in [0.4, 0.5, 0.55, 0.6, 0.65, 0.7, f32::INFINITY] {
        for rescored in [20, 30, 50, 400] {
            let search = Search::new(10).effort(Effort { reach, rescored });
            let timed = time(view, queries, truth, &search)?;
            println!(
                "reach {reach:.2} rescored {rescored:>3}: recall {:.5}, {:.4} ms, p99 {:.4}, {:.0} codes in {:.0} partitions",
                timed.recall,
                timed.mean_ms(),
                timed.part_ms(0.99),
                timed.scanned,
                timed.partitions,
            );
        }
    }
    Ok(())
}
