//! `booster dlq edit`.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use proto::bus::v1 as pb;

use super::{Operator, connect, refusal, show};

/// Give a dead letter another payload, which must be the JSON of its type
///
/// It is not replayed by that, but it is no longer quarantined. The payload of before is kept.
///
/// Example: booster dlq edit promotion-7 --file seven.json --why "the order came without a user"
#[derive(Debug, clap::Args)]
pub(super) struct Edit {
    /// Which one
    dead_letter_id: String,
    /// The whole payload, as `show --payload` writes it; - is standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Why; it is written down
    #[arg(long)]
    why: String,
    #[command(flatten)]
    operator: Operator,
}

impl Edit {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let (dead_letter_id, why, operator) = (self.dead_letter_id, self.why, self.operator.name);
        let asked = pb::EditDeadLetterRequest { dead_letter_id, payload_json: read(&self.file)?, why, operator };
        show::show(&connect(addr).await?.edit_dead_letter(asked).await.map_err(refusal)?.into_inner());
        Ok(())
    }
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    if file.as_os_str() != "-" {
        return std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(text)
}
