//! One call: the same claim, again and again, until the answer is definite.

use std::time::{Duration, Instant};

use proto::promotion::v1::ClaimCouponRequest;
use tonic::Request;

use super::answer::{Answer, Outcome};
use super::backoff::Patience;
use super::connection::Connections;
use super::journal::{Entry, Journal};

/// A user presses the button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) user: String,
    /// 1, or 2 for the second time.
    pub(super) number: u32,
}

/// One call, and all that it needs.
pub(super) struct Claim<'a> {
    pub(super) deal_id: &'a str,
    pub(super) call: &'a Call,
    /// The connection of the first attempt.
    pub(super) home: usize,
    /// When the rush began: what is written down counts from here.
    pub(super) begun: Instant,
    pub(super) connections: &'a Connections,
    pub(super) patience: Patience,
    pub(super) journal: &'a Journal,
}

/// Repeats until the answer is definite or the patience is over, each attempt on the next connection: whoever is told
/// that a process is away asks another one. Answers what was told last.
pub(super) async fn claim(claim: Claim<'_>) -> Outcome {
    let mut wait = claim.patience.begin();
    loop {
        let Answer { outcome, repeat } = attempt(&claim, wait.attempt()).await;
        let Some(hint) = repeat else { return outcome };
        let Some(pause) = wait.next(hint) else { return outcome };
        tokio::time::sleep(pause).await;
    }
}

async fn attempt(claim: &Claim<'_>, number: u32) -> Answer {
    let Claim { deal_id, call, connections, patience, .. } = claim;
    let mut turn = connections.turn(claim.home + number as usize - 1).await;
    let mut request = Request::new(ClaimCouponRequest {
        deal_id: (*deal_id).to_owned(),
        user_id: call.user.clone(),
        pass: String::new(),
    });
    request.set_timeout(patience.timeout);
    let sent = Instant::now();
    // The deadline in the request binds the server; this one also holds while the connection itself is being made.
    let reply = tokio::time::timeout(patience.timeout, turn.client().claim_coupon(request)).await;
    let took = sent.elapsed();
    let answer = Answer::read(reply);
    claim.journal.write(entry(claim, number, sent, took, answer.outcome.clone()));
    answer
}

fn entry(claim: &Claim<'_>, attempt: u32, sent: Instant, took: Duration, outcome: Outcome) -> Entry {
    Entry {
        user: claim.call.user.clone(),
        call: claim.call.number,
        attempt,
        sent: sent.duration_since(claim.begun),
        took,
        outcome,
    }
}
