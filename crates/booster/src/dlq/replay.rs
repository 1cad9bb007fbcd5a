//! `booster dlq replay`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use proto::bus::v1 as pb;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Client, Operator, connect, refusal};
use crate::say::{aside, say};

/// Let dead letters take effect after all, in the order in which they were parked
///
/// Of one key the oldest comes first: what cannot go yet is SKIPPED. What fails stays, and the third time it is quarantined: then
/// it is replayed only where it is named, or after an edit. What waits behind a dead letter has a cause of its own: to replay
/// both, name the key, or say --all. May be ended at any time; the same command goes on. Exit code 0 when everything took effect,
/// or would have; 1 otherwise.
///
/// Example: booster dlq replay --cause "cannot be decoded" --dry-run
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["all", "dead_letter_ids", "consumer", "cause", "key"]))]
pub(super) struct Replay {
    /// These, also where they are quarantined
    #[arg(value_name = "DEAD_LETTER_ID")]
    dead_letter_ids: Vec<String>,
    /// All that are not quarantined
    #[arg(long, conflicts_with_all = ["dead_letter_ids", "consumer", "cause", "key"])]
    all: bool,
    /// Those of this consumer
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// Those whose cause has these words
    #[arg(long, value_name = "WORDS")]
    cause: Option<String>,
    /// Those with this parking key
    #[arg(long)]
    key: Option<String>,
    /// How many a second, at most
    #[arg(long, default_value_t = 100, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..=1_000))]
    per_second: i32,
    /// Do everything, and take it back
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    operator: Operator,
}

/// What a replay has told so far.
struct Told {
    bar: ProgressBar,
    outcomes: BTreeMap<&'static str, u64>,
    /// How many it has told of; a stream that was cut counts from one again.
    seen: u64,
}

impl Replay {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<ExitCode> {
        let mut asked = self.asked();
        let mut client = connect(addr).await?;
        let mut told = Told { bar: bar(), outcomes: BTreeMap::new(), seen: 0 };
        loop {
            let begun = asked.after.clone();
            match told.follow(&mut client, &mut asked).await {
                Ok(()) => break,
                // A server lets its connections go every few minutes: what it told of is not asked for again.
                Err(status) if is_cut(&status) && asked.after != begun => client = connect(addr).await?,
                Err(status) => {
                    told.bar.finish_and_clear();
                    if told.seen > 0 {
                        aside(format_args!("what is done is done, and the same command goes on"));
                    }
                    return Err(refusal(status));
                }
            }
        }
        told.bar.finish_and_clear();
        Ok(told.sum())
    }

    fn asked(self) -> pb::ReplayDeadLettersRequest {
        let filter = pb::DeadLetterFilter {
            consumer: self.consumer.unwrap_or_default(),
            cause: self.cause.unwrap_or_default(),
            parking_key: self.key.unwrap_or_default(),
            dead_letter_ids: self.dead_letter_ids,
        };
        pb::ReplayDeadLettersRequest {
            filter: Some(filter),
            per_second: self.per_second,
            dry_run: self.dry_run,
            operator: self.operator.name,
            after: String::new(),
        }
    }
}

impl Told {
    async fn follow(&mut self, client: &mut Client, asked: &mut pb::ReplayDeadLettersRequest) -> Result<(), Status> {
        let before = self.seen;
        let mut steps = client.replay_dead_letters(asked.clone()).await?.into_inner();
        while let Some(step) = steps.message().await? {
            let outcome = step.outcome().as_str_name().trim_start_matches("REPLAY_OUTCOME_");
            *self.outcomes.entry(outcome).or_default() += 1;
            self.seen += 1;
            self.bar.set_length(before + u64::try_from(step.total).unwrap_or_default());
            self.bar.set_position(self.seen);
            let line = format!("{}  {outcome:7}  {}", step.dead_letter_id, step.cause);
            self.bar.suspend(|| say!("{}", line.trim_end()));
            asked.after = step.dead_letter_id;
        }
        Ok(())
    }

    fn sum(&self) -> ExitCode {
        let counts = self.outcomes.iter().map(|(outcome, count)| format!("{} {outcome}", HumanCount(*count)));
        let counts = counts.collect::<Vec<_>>().join(", ");
        aside(format_args!("{}", if counts.is_empty() { "nothing is parked of what was asked for" } else { &counts }));
        let stays = ["FAILED", "SKIPPED"].iter().any(|outcome| self.outcomes.contains_key(outcome));
        if stays { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// The connection ended, and not the replay.
fn is_cut(status: &Status) -> bool {
    status.code() == Code::Unavailable && status.get_details_error_info().is_none()
}

/// On a terminal only.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} dead letters");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
