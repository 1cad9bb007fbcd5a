//! A process as its surroundings see it: over HTTP, over gRPC, by signals and by its exit code.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod life;
mod edge;
mod hostile;
mod trace;
mod signals;
mod ask;
mod odd;
mod diary;
