//! Child processes. The child is this same program, playing a process of ours.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::net::TcpStream;
use std::path::PathBuf;

use clap::Parser as _;
use kit::boot::Process;
use kit::config::ProcessArgs;
use trial::process::{Child, Program};

/// Set where this program is the child.
const CHILD: &str = "BOOSTER_TRIAL_CHILD";

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_some() {
        let flags = Flags::parse_from(["child"]);
        let process = Process::start(&flags.process, proto::DESCRIPTORS).await.unwrap();
        let _drained = process.run_to_end().await;
    }
}

fn myself() -> PathBuf {
    std::env::current_exe().unwrap()
}

async fn start() -> Child {
    let env = [(CHILD.to_owned(), "yes".to_owned())];
    Program::new("child", myself()).args(["--exact", "child", "--nocapture"]).envs(env).start().await
}

#[tokio::test]
async fn is_ready_and_ends_when_it_is_told_to() {
    let mut child = start().await;
    TcpStream::connect(child.grpc_addr()).unwrap();
    assert!(child.log().starts_with(trial::ground::root().join("target/trial")));
    assert_eq!(child.stop().await, Some(0));
    assert!(TcpStream::connect(child.grpc_addr()).is_err());
}

#[tokio::test]
async fn comes_back_at_the_same_addresses_after_it_was_killed() {
    let mut child = start().await;
    let (grpc, admin) = (child.grpc_addr(), child.admin_addr());
    child.kill9().await;
    assert!(TcpStream::connect(grpc).is_err());
    child.start_again().await;
    assert_eq!((child.grpc_addr(), child.admin_addr()), (grpc, admin));
    TcpStream::connect(admin).unwrap();
}

#[tokio::test]
async fn whoever_was_ended_by_somebody_else_is_found() {
    let mut child = start().await;
    child.check().unwrap();
    child.signal("KILL").await;
    let ended = async {
        while child.check().is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        child.check().unwrap_err().to_string()
    };
    let why = tokio::time::timeout(std::time::Duration::from_secs(10), ended).await.unwrap();
    assert!(why.starts_with("child ended with signal: 9"), "{why}");
}

#[tokio::test]
async fn a_program_that_is_alone_is_told_nothing_but_what_the_test_says() {
    assert!(std::env::var_os("BOOSTER_POSTGRES_URL").is_some(), "every test is told of the servers");
    let env = [("BOOSTER_NAMESPACE".to_owned(), "mine".to_owned())];
    let output = Program::new("env", "env").envs(env).alone().run().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let mut told: Vec<_> = told.lines().filter(|line| line.starts_with("BOOSTER_")).collect();
    told.sort_unstable();
    assert_eq!(told, ["BOOSTER_LOG=info", "BOOSTER_LOG_FORMAT=json", "BOOSTER_NAMESPACE=mine"]);
}

#[tokio::test]
async fn is_killed_when_it_is_dropped() {
    let child = start().await;
    let admin = child.admin_addr();
    drop(child);
    for _ in 0..200 {
        if TcpStream::connect(admin).is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the process still answers at {admin}");
}

#[tokio::test]
#[should_panic(expected = "before it was ready")]
async fn whatever_ends_at_once_is_shown_with_its_log() {
    Program::new("child", myself()).args(["--list"]).start().await;
}
