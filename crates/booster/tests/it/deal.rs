//! The operator's commands for deals, against a process that runs.

use std::process::Output;

use crate::booster::{promotions, run, told};

#[tokio::test]
async fn a_deal_says_all_that_it_can_be_told() {
    let (ground, processes) = promotions("deal-says", 1).await;
    let deal = Deals(processes[0].grpc_url());
    let prize = ["--percent", "20", "--max-amount", "5000", "--min-order", "9000", "--currency", "KRW"];
    let created = deal.told(&[&["create", "lunch", "--stock", "10", "--valid-for", "2h"], &prize[..]].concat()).await;
    let worth = "prize      20 % off, at most 5000 KRW, for orders of 9000 KRW and more, valid for 2h\n";
    assert!(created.contains(worth), "{created}");
    assert!(created.contains("state      OPEN\n") && !created.contains("pass"), "{created}");

    let closes_at = ["--closes-at", "2030-01-31T12:00:00+09:00"];
    let rest = ["--amount", "700", "--currency", "EUR", "--title", "Friday dinner", "--venue-id", "corner"];
    let later = ["--opens-at", "2030-01-31T10:00:00+09:00", "--pass-required"];
    let asked = [&["create", "dinner", "--stock", "5", "--request-id", "once"], &closes_at[..], &rest, &later].concat();
    let created = deal.told(&asked).await;
    for line in ["title      Friday dinner", "venue      corner", "state      SCHEDULED", "prize      700 EUR off"] {
        assert!(created.contains(line), "{line}: {created}");
    }
    for line in ["opens      2030-01-31T01:00:00Z", "closes     2030-01-31T03:00:00Z", "pass       required"] {
        assert!(created.contains(line), "{line}: {created}");
    }
    assert_eq!(deal.told(&asked).await, created, "the same request creates nothing");
    assert_eq!(deal.told(&["show", "dinner"]).await, created);
    ground.end().await;
}

#[tokio::test]
async fn deals_are_listed_changed_and_closed() {
    let (ground, processes) = promotions("deal-list", 1).await;
    let deal = Deals(processes[0].grpc_url());
    for (name, venue) in [("one", "corner"), ("the-second", "corner"), ("three", "elsewhere")] {
        deal.told(&["create", name, "--stock", "10", "--percent", "20", "--venue-id", venue]).await;
    }
    let rest = ["--opens-at", "2030-01-31T01:00:00Z", "--title", "Two words"];
    deal.told(&[&["create", "later", "--stock", "100000", "--percent", "20"], &rest[..]].concat()).await;

    let list = deal.told(&["list"]).await;
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(first_words(&list), ["DEAL", "later", "three", "the-second", "one"], "{list}");
    let second: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(second[1..4], ["SCHEDULED", "100000/100000", "2030-01-31T01:00:00Z"], "{list}");
    assert!(lines[1].ends_with("  Two words") && lines[2].ends_with("  -"), "{list}");
    let opens = lines[0].find("OPENS").unwrap();
    assert!(lines[1..].iter().all(|line| line[..opens].ends_with("  ") && line[opens..].starts_with("20")), "{list}");
    assert_eq!(first_words(&deal.told(&["list", "--state", "SCHEDULED"]).await), ["DEAL", "later"]);
    assert_eq!(first_words(&deal.told(&["list", "--venue-id", "corner"]).await), ["DEAL", "the-second", "one"]);
    let few = deal.run(&["list", "--limit", "2"]).await;
    assert_eq!(first_words(&String::from_utf8_lossy(&few.stdout)), ["DEAL", "later", "three"]);
    assert!(errors(&few).contains("more than --limit 2"), "{}", errors(&few));

    let closes_at = ["--closes-at", "2031-01-31T01:00:00Z"];
    let updated = deal.told(&[&["update", "one", "--title", "First", "--stock", "11"], &closes_at[..]].concat()).await;
    for line in ["title      First", "remaining  11 of 11", "closes     2031-01-31T01:00:00Z", "prize      20 % off\n"]
    {
        assert!(updated.contains(line), "{line}: {updated}");
    }
    deal.refused(&["update", "one", "--stock", "10"], "STOCK_SHRINKS").await;
    deal.refused(&["update", "one", "--percent", "30"], "DEAL_STARTED").await;
    let prize = ["--amount", "3000", "--currency", "KRW", "--pass-required", "true"];
    let updated = deal.told(&[&["update", "later", "--opens-at", "2030-01-30T01:00:00Z"], &prize[..]].concat()).await;
    for line in ["opens      2030-01-30T01:00:00Z", "prize      3000 KRW off\n", "pass       required"] {
        assert!(updated.contains(line), "{line}: {updated}");
    }
    assert!(!deal.told(&["update", "later", "--pass-required", "false"]).await.contains("pass"));

    let closed = deal.told(&["close", "one"]).await;
    assert!(closed.contains("state      CLOSED\n"), "{closed}");
    assert_eq!(deal.told(&["close", "one"]).await, closed, "a repeat changes nothing");
    deal.refused(&["claim", "one", "ann"], "CLOSED").await;
    deal.refused(&["update", "one", "--title", "x"], "DEAL_OVER").await;
    deal.refused(&["close", "never"], "DEAL_NOT_FOUND").await;
    assert_eq!(first_words(&deal.told(&["list", "--state", "closed"]).await), ["DEAL", "one"]);
    ground.end().await;
}

/// `booster deal`, at this address.
struct Deals(String);

impl Deals {
    async fn told(&self, args: &[&str]) -> String {
        told(None, &self.all(args)).await
    }

    async fn run(&self, args: &[&str]) -> Output {
        run(None, &self.all(args)).await
    }

    async fn refused(&self, args: &[&str], reason: &str) {
        let output = self.run(args).await;
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", errors(&output));
        assert!(errors(&output).starts_with(&format!("booster: {reason}: ")), "{args:?}: {}", errors(&output));
    }

    fn all<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["deal", "--addr", &self.0], args].concat()
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn first_words(lines: &str) -> Vec<&str> {
    lines.lines().filter_map(|line| line.split_whitespace().next()).collect()
}
