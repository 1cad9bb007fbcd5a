//! Dead letters -> protobuf.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost_types::Timestamp;
use proto::bus::v1 as pb;

use super::payload;
use super::request::Page;
use crate::dead_letter::{DeadLetter, State};
use crate::repair::all::{Listed, Name};
use crate::repair::replay::{Outcome, Step};

/// The page, cut from one dead letter more than it holds.
pub(super) fn page(page: &Page, listed: Listed) -> pb::ListDeadLettersResponse {
    let Listed { mut letters, causes } = listed;
    let size = usize::try_from(page.size).unwrap_or_default();
    let more = letters.len() > size;
    letters.truncate(size);
    let last = letters.last().filter(|_| more);
    let last = last.map(|(service, last)| Name { service: (*service).to_owned(), id: last.id });
    pb::ListDeadLettersResponse {
        next_page_token: kit::page::token(page.list(), last),
        dead_letters: letters.into_iter().map(|(service, letter)| dead_letter(service, letter)).collect(),
        causes: causes.into_iter().map(|(cause, count)| pb::DeadLetterCause { cause, count }).collect(),
    }
}

/// With its payload.
pub(super) fn whole(service: &str, mut letter: DeadLetter) -> pb::DeadLetter {
    let bytes = std::mem::take(&mut letter.payload);
    let payload = match payload::to_json(&letter.kind, &bytes) {
        Some(json) => pb::dead_letter::Payload::PayloadJson(json),
        None => pb::dead_letter::Payload::PayloadBase64(BASE64.encode(&bytes)),
    };
    pb::DeadLetter { payload: Some(payload), ..dead_letter(service, letter) }
}

pub(super) fn step(service: &str, step: Step) -> pb::ReplayDeadLettersResponse {
    let outcome = match step.outcome {
        Outcome::Done => pb::ReplayOutcome::Done,
        Outcome::Again => pb::ReplayOutcome::Again,
        Outcome::Failed => pb::ReplayOutcome::Failed,
        Outcome::Would => pb::ReplayOutcome::Would,
        Outcome::Skipped => pb::ReplayOutcome::Skipped,
    };
    pb::ReplayDeadLettersResponse {
        dead_letter_id: format!("{service}-{}", step.id),
        outcome: outcome.into(),
        cause: step.cause,
        done: step.done,
        total: step.total,
    }
}

fn dead_letter(service: &str, letter: DeadLetter) -> pb::DeadLetter {
    let headers = letter.headers.as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    let state = match letter.state {
        State::Parked => pb::DeadLetterState::Parked,
        State::Quarantined => pb::DeadLetterState::Quarantined,
    };
    let nanos = i32::try_from(letter.parked_at.nanosecond()).unwrap_or_default();
    pb::DeadLetter {
        dead_letter_id: format!("{service}-{}", letter.id),
        headers: headers.collect(),
        consumer: letter.consumer,
        subject: letter.subject,
        r#type: letter.kind,
        cause: letter.cause,
        attempts: letter.attempts,
        topic: letter.topic,
        partition: letter.partition,
        offset: letter.offset,
        parked_at: Some(Timestamp { seconds: letter.parked_at.unix_timestamp(), nanos }),
        state: state.into(),
        parking_key: letter.parking_key,
        failed_replays: letter.failed_replays,
        replay_cause: letter.replay_cause.unwrap_or_default(),
        payload: None,
    }
}
