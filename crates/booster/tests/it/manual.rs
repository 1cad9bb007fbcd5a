//! The manual, and what is said of a wrong flag.

use crate::booster::{run, told};

#[tokio::test]
async fn every_command_has_a_manual() {
    let manual = told(None, &["--help"]).await;
    for command in ["all", "promotion", "migrate", "healthcheck", "deal", "audit", "fence"] {
        assert!(manual.contains(command), "{command} is not in the manual");
        assert!(told(None, &[command, "--help"]).await.len() > 200, "{command} has no manual");
    }
}

#[tokio::test]
async fn a_wrong_flag_is_one_sentence_before_anything_is_opened() {
    let cases = [
        (vec!["all", "--no-such-flag"], "--no-such-flag"),
        (vec!["all", "--grpc-addr", "0.0.0.0:50051"], "--insecure"),
        (vec!["all", "--namespace", "A B"], "--namespace"),
        (vec!["promotion", "--redis-nodes", "nowhere"], "--redis-nodes"),
    ];
    for (args, expected) in cases {
        let output = run(None, &args).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_secret_is_never_printed() {
    let args = ["promotion", "--postgres-url", "postgres://promotion:hush@127.0.0.1:1/booster", "--grpc-addr"];
    let args = [&args[..], &["127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]].concat();
    let output = run(None, &args).await;
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("127.0.0.1:1/booster as promotion"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}
