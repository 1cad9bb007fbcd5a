//! The manual, and what is said of a wrong flag.

use crate::booster::{run, told};

#[tokio::test]
async fn every_command_has_a_manual() {
    let manual = told(None, &["--help"]).await;
    for command in [
        "all",
        "promotion",
        "order",
        "point",
        "payment",
        "ranking",
        "provider",
        "migrate",
        "healthcheck",
        "deal",
        "dlq",
        "replay",
        "audit",
        "fence",
    ] {
        assert!(manual.contains(command), "{command} is not in the manual");
        assert!(told(None, &[command, "--help"]).await.len() > 200, "{command} has no manual");
    }
}

#[tokio::test]
async fn a_service_shows_its_own_flags_and_all_shows_those_of_all() {
    let flags =
        [("order", "--order-step-deadline"), ("payment", "--payment-provider-url"), ("ranking", "--ranking-time-zone")];
    let all = told(None, &["all", "--help"]).await;
    for service in ["promotion", "order", "point", "payment", "ranking"] {
        let manual = told(None, &[service, "--help"]).await;
        for (owner, flag) in flags {
            assert!(all.contains(flag), "{flag}: {all}");
            assert_eq!(manual.contains(flag), service == owner, "{service} {flag}: {manual}");
        }
    }
}

#[tokio::test]
async fn every_command_for_deals_has_an_example() {
    for command in ["create", "show", "list", "watch", "update", "close", "export", "claim"] {
        let manual = told(None, &["deal", command, "--help"]).await;
        assert!(manual.contains(&format!("Example: booster deal {command}")), "{manual}");
    }
}

#[tokio::test]
async fn every_command_for_dead_letters_has_an_example() {
    for command in ["list", "show", "edit", "replay", "discard"] {
        let manual = told(None, &["dlq", command, "--help"]).await;
        assert!(manual.contains(&format!("Example: booster dlq {command}")), "{manual}");
    }
}

#[tokio::test]
async fn a_replay_has_an_example_and_says_how_fast_it_is() {
    let manual = told(None, &["replay", "--help"]).await;
    assert!(
        manual.contains("Example: booster replay --topic booster.promotion.v1 --consumer promotion --from"),
        "{manual}"
    );
    assert!(manual.contains("[default: 1000]"), "{manual}");
}

#[tokio::test]
async fn a_deed_without_a_reason_or_without_a_choice_is_not_done() {
    let cases = [
        (vec!["discard", "promotion-1"], "--why"),
        (vec!["edit", "promotion-1", "--why", "a test"], "--file"),
        (vec!["replay"], "--all"),
        (vec!["replay", "--all", "--cause", "x"], "cannot be used with"),
        (vec!["replay", "--all", "--per-second", "0"], "--per-second"),
    ];
    for (args, expected) in cases {
        let output = run(None, &[&["dlq"], &args[..], &["--operator", "ann"]].concat()).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn what_does_not_go_together_is_said_before_anything_is_opened() {
    let (one, two) = ("2030-01-31T10:00:00Z", "tomorrow");
    let cases = [
        (vec!["create", "a", "--stock", "1"], "<--percent <PERCENT>|--amount <UNITS>>"),
        (vec!["create", "a", "--stock", "1", "--percent", "5", "--amount", "5", "--currency", "KRW"], "cannot be used"),
        (vec!["create", "a", "--stock", "1", "--amount", "5"], "--currency"),
        (vec!["create", "a", "--stock", "1", "--percent", "101"], "101 is not in 1..=100"),
        (vec!["create", "a", "--stock", "1", "--percent", "5", "--currency", "KRW"], "--min-order"),
        (
            vec!["create", "a", "--stock", "1", "--amount", "5", "--currency", "KRW", "--max-amount", "3"],
            "cannot be used with '--max-amount",
        ),
        (vec!["create", "a", "--stock", "1", "--percent", "5", "--closes-at", one, "--closes-in", "1h"], "--closes-in"),
        (vec!["create", "a", "--stock", "1", "--percent", "5", "--closes-at", two], "2030-01-31T10:00:00+09:00"),
        (vec!["create", "a", "--stock", "1", "--percent", "5", "--closes-in", "9000y"], "beyond the year 9999"),
        (vec!["create", "a", "--stock", "1", "--percent", "5", "--request-id", "b"], "needs --opens-at or --closes-at"),
        (vec!["update", "a"], "would change nothing"),
        (vec!["update", "a", "--valid-for", "1h"], "<--percent <PERCENT>|--amount <UNITS>>"),
        (vec!["list", "--limit", "0"], "--limit"),
        (vec!["list", "--state", "lost"], "scheduled, open, sold_out, closed, frozen"),
        (vec!["show", "a", "--addr", "127.0.0.1:1"], "which is not like http://"),
    ];
    for (args, expected) in cases {
        let output = run(None, &[&["deal"], &args[..]].concat()).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_flag_is_one_sentence_before_anything_is_opened() {
    let cases = [
        (vec!["all", "--no-such-flag"], "--no-such-flag"),
        (vec!["all", "--grpc-addr", "0.0.0.0:50051"], "--insecure"),
        (vec!["all", "--namespace", "A B"], "--namespace"),
        (vec!["promotion", "--redis-nodes", "nowhere"], "--redis-nodes"),
        (vec!["order", "--order-step-deadline", "soon"], "--order-step-deadline"),
        (vec!["payment", "--payment-in-flight", "0"], "--payment-in-flight is 0"),
        (vec!["all", "--payment-rate", "0"], "--payment-rate is 0"),
        (vec!["ranking", "--ranking-time-zone", "Nowhere/Here"], "--ranking-time-zone"),
        (vec!["all", "--ranking-venue-time-zone", "v=UTC,v=UTC"], "--ranking-venue-time-zone names v twice"),
        (vec!["provider", "--addr", "0.0.0.0:8090"], "--insecure"),
        (vec!["fence", "--service", "order", "show"], "[possible values: promotion]"),
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
