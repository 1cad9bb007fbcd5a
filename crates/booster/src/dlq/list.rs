//! `booster dlq list`.

use proto::bus::v1 as pb;

use super::{Client, connect, refusal};
use crate::say::aside;
use crate::table::table;

/// List what is parked, in the order in which it was
///
/// One line each under a line of headings; a cause is cut, `show` tells all of it. No column but the last has a blank in it.
///
/// Example: booster dlq list --by-cause
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those of this consumer
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    consumer: String,
    /// Only those whose cause has these words
    #[arg(long, default_value = "", hide_default_value = true, value_name = "WORDS")]
    cause: String,
    /// Only the causes, and how many there are of each
    #[arg(long)]
    by_cause: bool,
    /// How many at most
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Dead letters on a page, at most.
const PAGE: usize = 1_000;
/// Characters of a cause on a line, at most.
const CAUSE_LONGEST: usize = 120;

impl List {
    pub(super) async fn run(self, addr: &str) -> anyhow::Result<()> {
        let (letters, causes, more) = self.letters(&mut connect(addr).await?).await?;
        if self.by_cause {
            let rows: Vec<_> = causes.iter().map(|one| [one.count.to_string(), line(&one.cause)]).collect();
            table(["COUNT", "CAUSE"], Some(0), &rows);
            return Ok(());
        }
        let headings = ["DEAD-LETTER", "STATE", "CONSUMER", "KEY", "PARKED", "CAUSE"];
        table(headings, None, &letters.iter().map(row).collect::<Vec<_>>());
        if more {
            aside(format_args!("there are more than --limit {}", self.limit));
        }
        Ok(())
    }

    /// Page after page, until there are enough; the causes of all there are; and whether there are more.
    async fn letters(
        &self,
        client: &mut Client,
    ) -> anyhow::Result<(Vec<pb::DeadLetter>, Vec<pb::DeadLetterCause>, bool)> {
        let limit = if self.by_cause { 1 } else { usize::try_from(self.limit)? };
        let (consumer, cause) = (self.consumer.clone(), self.cause.clone());
        let mut asked = pb::ListDeadLettersRequest { consumer, cause, ..pb::ListDeadLettersRequest::default() };
        let mut letters = Vec::new();
        loop {
            asked.page_size = i32::try_from((limit - letters.len()).min(PAGE))?;
            let page = client.list_dead_letters(asked.clone()).await.map_err(refusal)?.into_inner();
            letters.extend(page.dead_letters);
            asked.page_token = page.next_page_token;
            if asked.page_token.is_empty() || letters.len() >= limit {
                return Ok((letters, page.causes, !asked.page_token.is_empty()));
            }
        }
    }
}

fn row(letter: &pb::DeadLetter) -> [String; 6] {
    let state = super::state(letter).to_owned();
    // A key comes from outside: it may have anything in it.
    let key = letter.parking_key.split_whitespace().collect::<Vec<_>>().join("_");
    let cause = line(&letter.cause);
    [letter.dead_letter_id.clone(), state, letter.consumer.clone(), key, super::parked_at(letter), cause]
}

/// In one line, and not too long.
fn line(cause: &str) -> String {
    let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
    match cause.char_indices().nth(CAUSE_LONGEST) {
        Some((end, _)) => format!("{}...", &cause[..end]),
        None => cause,
    }
}
