//! `booster dlq`: what an operator needs when an event is stuck, over gRPC like everybody else's.

mod list;
mod show;
mod edit;
mod replay;
mod discard;

use std::process::ExitCode;

use proto::bus::v1 as pb;
use proto::bus::v1::dead_letter_service_client::DeadLetterServiceClient;
use tonic::transport::Channel;

use crate::client::{self, ADDR, refusal};
use crate::instant;

/// The longest answer, in bytes: a page of a thousand, or one dead letter with the longest payload.
const ANSWER_LONGEST: usize = 16 * 1024 * 1024;

type Client = DeadLetterServiceClient<Channel>;

/// Work with events that are stuck.
///
/// An event that cannot take effect is parked, and so is what comes later for the same key; everything else goes on. Look at what
/// is parked and why, repair the cause (or edit the event), and replay it in its order; or discard it. Every process answers for
/// its own services. What is done is written down, with who did it and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Dlq {
    /// Where the service answers gRPC
    #[arg(long, env = "BOOSTER_ADDR", default_value = ADDR, global = true, value_name = "URL")]
    addr: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::List),
    Show(show::Show),
    Edit(edit::Edit),
    Replay(replay::Replay),
    Discard(discard::Discard),
}

/// Who does it.
#[derive(Debug, clap::Args)]
struct Operator {
    /// Who does it; it is written down
    #[arg(long = "operator", env = "USER", hide_env_values = true, value_name = "NAME")]
    name: String,
}

impl Dlq {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let addr = self.addr.as_str();
        match self.command {
            Command::List(list) => list.run(addr).await?,
            Command::Show(show) => show.run(addr).await?,
            Command::Edit(edit) => edit.run(addr).await?,
            Command::Replay(replay) => return replay.run(addr).await,
            Command::Discard(discard) => discard.run(addr).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn connect(addr: &str) -> anyhow::Result<Client> {
    let client = DeadLetterServiceClient::new(client::connect(addr).await?);
    Ok(client.max_decoding_message_size(ANSWER_LONGEST))
}

fn state(letter: &pb::DeadLetter) -> &'static str {
    letter.state().as_str_name().trim_start_matches("DEAD_LETTER_STATE_")
}

fn parked_at(letter: &pb::DeadLetter) -> String {
    letter.parked_at.and_then(instant::text).unwrap_or_else(|| "-".to_owned())
}
