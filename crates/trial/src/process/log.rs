//! The log of a process: a file of its own, from which also its addresses are read.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::ground;

/// Where a process listens.
#[derive(Deserialize)]
pub(super) struct Addresses {
    pub(super) grpc: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// How much of a log is shown when something went wrong, in bytes.
const TAIL_BYTES: u64 = 4096;

/// A new file for one process, under `target/trial/`.
pub(super) fn path(name: &str) -> anyhow::Result<PathBuf> {
    let directory = ground::root().join("target/trial");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory.join(format!("{name}-{:08x}.log", rand::random::<u32>())))
}

/// The file, to write to its end.
pub(super) fn append(path: &Path) -> anyhow::Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.with_context(|| format!("cannot write the log {}", path.display()))
}

/// How much was written so far.
pub(super) fn length(path: &Path) -> u64 {
    path.metadata().map(|metadata| metadata.len()).unwrap_or(0)
}

/// What `kit::boot` says as soon as both ports are bound, if it was said after the first `from` bytes.
pub(super) fn addresses(path: &Path, from: u64) -> Option<Addresses> {
    read(path, from).lines().filter(|line| line.contains("started")).find_map(|line| serde_json::from_str(line).ok())
}

/// The path of the log, and its end.
pub(super) fn tail(path: &Path) -> String {
    let from = length(path).saturating_sub(TAIL_BYTES);
    format!("{}:\n{}", path.display(), read(path, from))
}

/// What cannot be read now can be read at the next look, or is shown as nothing.
fn read(path: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path)
        && file.seek(SeekFrom::Start(from)).is_ok()
    {
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
