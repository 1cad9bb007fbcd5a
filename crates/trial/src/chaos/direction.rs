//! One direction of a connection: what is read waits in a bounded queue, and is written, or swallowed, as the fault says at
//! that moment.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::connection::Reset;
use super::{Fault, Weather};

/// From the client, or back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Requests,
    Answers,
}

/// One direction, and what it has to look at.
pub(super) struct Direction<'a> {
    pub(super) way: Way,
    pub(super) weather: watch::Receiver<Weather>,
    /// Set when something was swallowed.
    pub(super) lost: &'a AtomicBool,
}

/// What was read.
enum Piece {
    Bytes(Vec<u8>),
    /// The sender has nothing more to say.
    End,
    /// The sender has gone away.
    Gone,
}

/// What is read at once at most, in bytes.
const PIECE: usize = 16 * 1024;
/// Pieces that wait at once at most; then nothing more is read.
const PIECES: usize = 64;

impl Direction<'_> {
    /// Until the sender has ended, and all that it has sent was written.
    pub(super) async fn pass(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> Result<(), Reset> {
        let (queue, pieces) = mpsc::channel(PIECES);
        let read = async {
            read(from, queue).await;
            Ok(())
        };
        tokio::try_join!(read, self.write(pieces, to))?;
        Ok(())
    }

    async fn write(mut self, mut pieces: mpsc::Receiver<(Instant, Piece)>, mut to: WriteHalf<'_>) -> Result<(), Reset> {
        while let Some((since, piece)) = pieces.recv().await {
            let is_swallowed = match self.turn(since).await {
                Fault::HalfOpen => true,
                Fault::OneWay => self.way == Way::Answers,
                Fault::None | Fault::Cut | Fault::Delay(_) => false,
            };
            if is_swallowed {
                self.lost.store(true, Ordering::Relaxed);
            }
            match piece {
                Piece::Bytes(_) if is_swallowed => {}
                // The receiver must not learn that there is nothing more to come: the next change ends it all.
                Piece::End | Piece::Gone if is_swallowed => std::future::pending().await,
                Piece::Bytes(bytes) => to.write_all(&bytes).await.map_err(|_| Reset)?,
                Piece::End => return to.shutdown().await.map_err(|_| Reset),
                Piece::Gone => return Err(Reset),
            }
        }
        Ok(())
    }

    /// Waits as long as a piece that was read at `since` is held back, and answers the fault that is in force then.
    async fn turn(&mut self, since: Instant) -> Fault {
        loop {
            let fault = self.weather.borrow_and_update().fault;
            let Fault::Delay(by) = fault else { return fault };
            tokio::select! {
                () = tokio::time::sleep(by.saturating_sub(since.elapsed())) => return fault,
                // A proxy that is gone changes nothing any more.
                Ok(()) = self.weather.changed() => {}
            }
        }
    }
}

async fn read(mut from: ReadHalf<'_>, queue: mpsc::Sender<(Instant, Piece)>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match from.read(&mut buffer).await {
            Ok(0) => Piece::End,
            Ok(length) => Piece::Bytes(buffer[..length].to_vec()),
            Err(_) => Piece::Gone,
        };
        let is_last = !matches!(piece, Piece::Bytes(_));
        if queue.send((Instant::now(), piece)).await.is_err() || is_last {
            return;
        }
    }
}
