//! Random policies and requests with what our evaluator decides, one JSON object a line, for a judge
//! that shares no code with it (`tests/peers/iam/judge.mjs`); and the cases of AWS's documentation.
//!
//! The same seed gives the same lines. The vocabulary is small, so that statements meet requests.

#![allow(clippy::unwrap_used, clippy::panic)]

use clap::Parser;
use nitro_signer_tests::key_policy_cases::{Case, Random, documented};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Writes cases for a judge of key policies.
#[derive(Parser)]
struct Arguments {
    /// How many random cases.
    #[arg(long, default_value_t = 0)]
    count: u64,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 6)]
    seed: u64,
    /// The cases of AWS's documentation.
    #[arg(long)]
    documented: Option<PathBuf>,
}

fn main() {
    let Arguments { count, seed, documented: file } = Arguments::parse();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut write = |case: &Case| {
        // The judge says what it has read: if it stops reading, that is its matter.
        let _ = writeln!(out, "{}", case.decided());
    };
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).expect("the documented cases are there");
        documented(&text).iter().for_each(&mut write);
    }
    let mut random = Random::new(seed);
    (0..count).for_each(|_| write(&Case::random(&mut random)));
}
