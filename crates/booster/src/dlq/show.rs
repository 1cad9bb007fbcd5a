//! `booster dlq show`.

use std::collections::BTreeMap;

use anyhow::bail;
use proto::bus::v1 as pb;
use proto::bus::v1::dead_letter::Payload;

use super::{connect, refusal};
use crate::say::say;

/// Show one dead letter, with its headers and its payload
///
/// The payload is the JSON of its type, to be changed and given to `edit`; where it cannot be read as that, its bytes in base64.
///
/// Example: booster dlq show promotion-7 --payload > seven.json
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Which one
    dead_letter_id: String,
    /// Only the payload
    #[arg(long)]
    payload: bool,
}

impl Show {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let asked = pb::GetDeadLetterRequest { dead_letter_id: self.dead_letter_id };
        let letter = connect(addr).await?.get_dead_letter(asked).await.map_err(refusal)?.into_inner();
        if !self.payload {
            show(&letter);
            return Ok(());
        }
        match letter.payload {
            Some(Payload::PayloadJson(json)) => say!("{json}"),
            Some(Payload::PayloadBase64(_)) | None => {
                bail!("its payload cannot be read as {:?}: show it without --payload", letter.r#type)
            }
        }
        Ok(())
    }
}

/// Everything that is known of it.
pub(super) fn show(letter: &pb::DeadLetter) {
    say!("dead letter  {}", letter.dead_letter_id);
    say!("state        {}", super::state(letter));
    say!("consumer     {}", letter.consumer);
    say!("key          {}", letter.parking_key);
    say!("type         {}", letter.r#type);
    say!("subject      {}", letter.subject);
    say!("cause        {}", letter.cause);
    say!("attempts     {}", letter.attempts);
    if letter.failed_replays > 0 {
        say!("replays      {} failed, the last of them: {}", letter.failed_replays, letter.replay_cause);
    }
    say!("from         {}, partition {}, offset {}", letter.topic, letter.partition, letter.offset);
    say!("parked       {}", super::parked_at(letter));
    say!("headers");
    for (name, value) in letter.headers.iter().collect::<BTreeMap<_, _>>() {
        say!("  {name}: {value}");
    }
    match &letter.payload {
        Some(Payload::PayloadJson(json)) => say!("payload\n{json}"),
        Some(Payload::PayloadBase64(base64)) => say!("payload, which cannot be read as its type, in base64\n{base64}"),
        None => {}
    }
}
