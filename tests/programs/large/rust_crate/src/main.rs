// SPDX-License-Identifier: Apache-2.0
use many::Note;
use rayon::prelude::*;
use sha2::Digest;

fn main() -> anyhow::Result<()> {
    let notes: Vec<Note> = (0..1000u32).into_par_iter().map(|n| Note { text: format!("note {n}"), n }).collect();
    let text = serde_json::to_string(&notes)?;
    println!("{} {:x}", notes.len(), sha2::Sha256::digest(&text));
    anyhow::ensure!(serde_json::from_str::<Vec<Note>>(&text)? == notes);
    std::process::exit(3)
}
