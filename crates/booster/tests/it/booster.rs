//! The executable under test.

use std::process::Output;

use tokio::process::Command;
use trial::ground::Ground;
use trial::process::{Child, Program};

/// Where cargo built it.
pub const PATH: &str = env!("CARGO_BIN_EXE_booster");

/// Whether tests run at their full size; else at one that every run can carry.
pub fn is_full() -> bool {
    std::env::var("BOOSTER_TEST_FULL").is_ok()
}

/// Runs it to its end.
pub async fn run(ground: Option<&Ground>, args: &[&str]) -> Output {
    run_with(ground.map(Ground::env).unwrap_or_default(), args).await
}

/// The same, within an environment.
pub async fn run_with(env: Vec<(String, String)>, args: &[&str]) -> Output {
    Command::new(PATH).envs(env).args(args).output().await.unwrap()
}

/// Its standard output, where it ended well.
pub async fn told(ground: Option<&Ground>, args: &[&str]) -> String {
    told_with(ground.map(Ground::env).unwrap_or_default(), args).await
}

/// The same, within an environment.
pub async fn told_with(env: Vec<(String, String)>, args: &[&str]) -> String {
    let output = run_with(env, args).await;
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {told}{errors}");
    told.into_owned()
}

/// A place that `booster migrate` has prepared, and `processes` of promotion in it.
pub async fn promotions(name: &str, processes: usize) -> (Ground, Vec<Child>) {
    let ground = Ground::new(name).await;
    told(Some(&ground), &["migrate"]).await;
    let mut children = Vec::new();
    for _ in 0..processes {
        children.push(Program::new(name, PATH).args(["promotion"]).envs(ground.env()).start().await);
    }
    (ground, children)
}
