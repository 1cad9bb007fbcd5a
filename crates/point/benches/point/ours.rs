//! Our own way: an operation joins the batch of its lane.

use std::time::Duration;

use anyhow::anyhow;
use kit::grpc::Deadline;
use point::account::{OrderId, RequestId};
use point::lane::Lanes;
use point::operation::{Operation, Request};
use trial::bench::Caller;

use crate::place::{ACCOUNTS, account};
use crate::turns::Over;

/// How many call at once: enough for a whole batch in every lane.
pub const CALLERS: usize = 1_024;
/// How long each would wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Earns a point and takes it for an order, in turn.
pub struct Client {
    pub lanes: Lanes,
    pub over: Over,
    pub earned: bool,
}

impl Caller for Client {
    async fn call(&mut self) -> anyhow::Result<()> {
        let user_id = account(self.over.pick(ACCOUNTS));
        let operation = if self.earned {
            Operation::Deduct { user_id, amount: 1, order_id: OrderId::random() }
        } else {
            Operation::Earn { user_id, amount: 1, expires_at: None, reason: None }
        };
        self.earned = !self.earned;
        // What it is made of costs the client, and not the ledger.
        let request = Request { request_id: RequestId::random(), digest: [7; 32] };
        let done = self.lanes.ask((operation, request), Deadline::after(PATIENCE)).await;
        done.map(drop).map_err(|error| anyhow!("not answered: {error:?}"))
    }
}
