//! One call: the same request, again and again, until its outcome is known.

use std::time::{Duration, Instant};

use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt as _;

use super::answer;
use super::doors::Way;
use crate::rush::backoff::Patience;

/// One attempt: its number, when it was sent, how long its answer took, and what that was.
pub(super) struct Attempt<'a, T> {
    pub(super) number: u32,
    pub(super) sent: Instant,
    pub(super) took: Duration,
    pub(super) reply: &'a Result<T, Status>,
}

/// Repeats until the outcome is known or the patience is over, each attempt on the next connection: whoever is told that a process is
/// away asks another one. `tell` is told of each attempt. Answers what was told last.
pub(super) async fn insist<T>(
    way: &Way,
    patience: Patience,
    home: usize,
    call: impl AsyncFn(Channel) -> Result<Response<T>, Status>,
    mut tell: impl FnMut(Attempt<'_, T>),
) -> Result<T, Status> {
    let mut wait = patience.begin();
    loop {
        let number = wait.attempt();
        let turn = way.turn(home + number as usize - 1).await;
        let sent = Instant::now();
        // The deadline in the request binds the server; this one also holds while the connection itself is being made.
        let reply = tokio::time::timeout(patience.timeout, call(turn.channel())).await;
        drop(turn);
        let reply = match reply {
            Ok(reply) => reply.map(Response::into_inner),
            Err(_elapsed) => Err(Status::deadline_exceeded("the caller did not wait longer")),
        };
        tell(Attempt { number, sent, took: sent.elapsed(), reply: &reply });
        let Err(status) = &reply else { return reply };
        if answer::is_definite(status) {
            return reply;
        }
        let hint = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let Some(pause) = wait.next(hint) else { return reply };
        tokio::time::sleep(pause).await;
    }
}

/// The same, where nobody needs to know of each attempt.
pub(super) async fn ask<T>(
    way: &Way,
    patience: Patience,
    home: usize,
    call: impl AsyncFn(Channel) -> Result<Response<T>, Status>,
) -> Result<T, Status> {
    insist(way, patience, home, call, |_| {}).await
}

/// A request that ends when its caller does not wait any longer.
pub(super) fn timed<T>(message: T, patience: Patience) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(patience.timeout);
    request
}
