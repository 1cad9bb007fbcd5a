//! The executable under test.

use std::process::Output;

use tokio::process::Command;
use trial::ground::Ground;
use trial::process::{Child, Program};

/// Where cargo built it.
pub const PATH: &str = env!("CARGO_BIN_EXE_booster");

/// Runs it to its end.
pub async fn run(ground: Option<&Ground>, args: &[&str]) -> Output {
    let mut command = Command::new(PATH);
    if let Some(ground) = ground {
        command.envs(ground.env());
    }
    command.args(args).output().await.unwrap()
}

/// Its standard output, where it ended well.
pub async fn told(ground: Option<&Ground>, args: &[&str]) -> String {
    let output = run(ground, args).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
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
