//! The operator's commands for deals, against a process that runs.

use crate::booster::{promotions, told};

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

/// `booster deal`, at this address.
struct Deals(String);

impl Deals {
    async fn told(&self, args: &[&str]) -> String {
        told(None, &self.all(args)).await
    }

    fn all<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["deal", "--addr", &self.0], args].concat()
    }
}
