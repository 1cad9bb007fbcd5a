//! `booster dlq discard`.

use proto::bus::v1 as pb;

use super::{Operator, connect, refusal};
use crate::say::say;

/// Give dead letters up: they take no effect, and what waits behind them can be replayed
///
/// What they carried is kept with what is written down, but no command brings it back, and neither does another delivery.
///
/// Example: booster dlq discard promotion-7 --why "a test of ours, never an order"
#[derive(Debug, clap::Args)]
pub(super) struct Discard {
    /// Which ones
    #[arg(required = true, value_name = "DEAD_LETTER_ID")]
    dead_letter_ids: Vec<String>,
    /// Why; it is written down
    #[arg(long)]
    why: String,
    #[command(flatten)]
    operator: Operator,
}

impl Discard {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let mut client = connect(addr).await?;
        for dead_letter_id in self.dead_letter_ids {
            let (why, operator) = (self.why.clone(), self.operator.name.clone());
            let asked = pb::DiscardDeadLetterRequest { dead_letter_id, why, operator };
            let discarded = client.discard_dead_letter(asked).await.map_err(refusal)?.into_inner();
            say!("{}  discarded", discarded.dead_letter_id);
        }
        Ok(())
    }
}
