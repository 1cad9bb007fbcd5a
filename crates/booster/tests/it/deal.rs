//! The operator's commands for deals, against a process that runs.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use proto::promotion::v1 as pb;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::booster::{PATH, promotions, run, told};
use crate::crowd::doors;

/// How long a line, or a coupon on its way to PostgreSQL, may take.
const SOON: Duration = Duration::from_secs(20);
/// After which time a deal opens that is watched.
const OPENS_IN: Duration = Duration::from_secs(3);

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

#[tokio::test]
async fn the_winners_of_a_deal_are_written_as_csv() {
    let (ground, processes) = promotions("deal-export", 1).await;
    let deal = Deals(processes[0].grpc_url());
    deal.told(&["create", "lunch", "--stock", "10", "--percent", "20", "--valid-for", "2h"]).await;
    for user in ["ann", "bob", "cleo"] {
        deal.told(&["claim", "lunch", user]).await;
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lunch.csv");
    let to_file = ["export", "lunch", "--out", file.to_str().unwrap()];
    let begun = Instant::now();
    loop {
        let exported = deal.run(&to_file).await;
        assert!(exported.status.success() && exported.stdout.is_empty(), "{}", errors(&exported));
        if errors(&exported).contains("3 coupons written, all that were claimed when this began") {
            break;
        }
        assert!(errors(&exported).contains("on their way to PostgreSQL"), "{}", errors(&exported));
        assert!(begun.elapsed() < SOON, "they do not arrive: {}", errors(&exported));
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside the file");
    let rows = rows(&file);
    let users: Vec<_> = rows.iter().map(|row| (row[0].as_str(), row[1].as_str(), row[2].as_str())).collect();
    assert_eq!(users, [("3", "lunch-3", "cleo"), ("2", "lunch-2", "bob"), ("1", "lunch-1", "ann")]);
    for row in &rows {
        let [claimed, expires] = [&row[4], &row[5]].map(|at| OffsetDateTime::parse(at, &Rfc3339).unwrap());
        assert_eq!((row[3].as_str(), expires - claimed, row[6].as_str()), ("ISSUED", time::Duration::hours(2), ""));
    }
    assert_eq!(deal.told(&["export", "lunch"]).await, std::fs::read_to_string(&file).unwrap());

    let door = &mut doors(&[processes[0].grpc_url()]).await[0];
    let (coupon_id, user_id, order_id) = ("lunch-3".to_owned(), "cleo".to_owned(), "order-9".to_owned());
    door.redeem_coupon(pb::RedeemCouponRequest { coupon_id, user_id, order_id }).await.unwrap();
    let (coupon_id, user_id) = ("lunch-2".to_owned(), "bob".to_owned());
    door.return_coupon(pb::ReturnCouponRequest { coupon_id, user_id }).await.unwrap();
    let begun = Instant::now();
    loop {
        deal.told(&to_file).await;
        let found: Vec<_> = self::rows(&file).into_iter().map(|row| [row[3].clone(), row[6].clone()]).collect();
        if found == [["REDEEMED", "order-9"], ["RETURNED", ""], ["ISSUED", ""]] {
            break;
        }
        assert!(begun.elapsed() < SOON, "what became of them does not arrive: {found:?}");
    }
    let redeemed = deal.told(&["export", "lunch", "--state", "redeemed"]).await;
    assert!(redeemed.lines().count() == 2 && redeemed.contains("\n3,lunch-3,cleo,REDEEMED,"), "{redeemed}");

    deal.refused(&["export", "never", "--out", file.to_str().unwrap()], "DEAL_NOT_FOUND").await;
    assert_eq!(self::rows(&file).len(), 3, "what was there before stays");
    ground.end().await;
}

#[tokio::test]
async fn a_watch_shows_claims_and_the_opening_and_outlives_the_server() {
    let (ground, mut processes) = promotions("deal-watch", 1).await;
    let deal = Deals(processes[0].grpc_url());
    deal.refused(&["watch", "never"], "DEAL_NOT_FOUND").await;

    let opens_at = (OffsetDateTime::now_utc() + OPENS_IN).format(&Rfc3339).unwrap();
    deal.told(&["create", "lunch", "--stock", "2000", "--percent", "20", "--opens-at", &opens_at]).await;
    let mut watch = Watch::begin(&deal, "lunch");
    assert!(watch.line().await.ends_with("  SCHEDULED  remaining 2,000 of 2,000  round 1 (epoch 1)"));
    assert!(watch.line().await.ends_with("  OPEN       remaining 2,000 of 2,000  round 1 (epoch 1)"));
    deal.told(&["claim", "lunch", "ann"]).await;
    assert!(watch.line().await.contains("  OPEN       remaining 1,999 of 2,000  "));
    deal.told(&["update", "lunch", "--stock", "3000"]).await;
    assert!(watch.line().await.ends_with("  OPEN       remaining 2,999 of 3,000  round 2 (epoch 1)"));

    processes[0].kill9().await;
    let said = watch.error().await;
    assert!(said.contains("nothing answers at http://") && said.contains("trying again"), "{said}");
    processes[0].start_again().await;
    assert!(watch.line().await.contains("  OPEN       remaining 2,999 of 3,000  "));
    deal.told(&["close", "lunch"]).await;
    assert!(watch.line().await.contains("  CLOSED     remaining 2,999 of 3,000  "));
    assert_eq!(watch.interrupt().await, Some(0));
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

/// A `booster deal watch` that runs. It is killed when it is dropped.
struct Watch {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    errors: Lines<BufReader<ChildStderr>>,
}

impl Watch {
    fn begin(deal: &Deals, deal_id: &str) -> Self {
        let mut command = Command::new(PATH);
        command.args(deal.all(&["watch", deal_id])).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let errors = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, lines, errors }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(SOON, self.lines.next_line()).await;
        line.expect("a line comes soon").unwrap().expect("it goes on")
    }

    async fn error(&mut self) -> String {
        let line = tokio::time::timeout(SOON, self.errors.next_line()).await;
        line.expect("it says so soon").unwrap().expect("it goes on")
    }

    /// As Ctrl-C does.
    async fn interrupt(mut self) -> Option<i32> {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &pid]).status().await.unwrap().success());
        let ended = tokio::time::timeout(SOON, self.process.wait()).await;
        ended.expect("it ends soon").unwrap().code()
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn first_words(lines: &str) -> Vec<&str> {
    lines.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

/// The rows of an export, whose headings are as they should be.
fn rows(file: &Path) -> Vec<Vec<String>> {
    let mut table = csv::Reader::from_path(file).unwrap();
    let headings = table.headers().unwrap().iter().collect::<Vec<_>>().join(",");
    assert_eq!(headings, "rank,coupon_id,user_id,state,claimed_at,expires_at,order_id");
    table.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}
