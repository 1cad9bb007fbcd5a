//! What was told of each order, over all attempts.

use std::collections::BTreeMap;

use super::answer::Outcome;
use super::journal::{Call, Entry};

/// What was told of one order.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    /// Its id, of every yes to a placing, in the order of the answers.
    pub(super) placed: Vec<&'a str>,
    /// Reason and metadata of every definite no to a placing.
    pub(super) refused: Vec<(&'a str, &'a BTreeMap<String, String>)>,
    /// Placings without a definite answer.
    pub(super) open: usize,
    /// What was told to whoever used its request id for something else, definitely.
    pub(super) forged: Vec<&'a Outcome>,
    pub(super) cancel: Asked<'a>,
    /// By how far it was to be moved on.
    pub(super) advance: BTreeMap<usize, Asked<'a>>,
}

/// What was told of a wish that an order may have granted or not.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    pub(super) granted: usize,
    /// Reasons of every definite no, and how many attempts had been left without an answer before it.
    pub(super) refused: Vec<(&'a str, usize)>,
    pub(super) open: usize,
}

impl Asked<'_> {
    /// Whether it may have been granted, as far as anybody was told.
    pub(super) fn may_be_granted(&self) -> bool {
        self.granted > 0 || self.open > 0
    }

    fn note<'a>(this: &mut Asked<'a>, outcome: &'a Outcome) {
        match outcome {
            Outcome::Ok { .. } => this.granted += 1,
            Outcome::Refused { reason, .. } if outcome.is_definite() => this.refused.push((reason, this.open)),
            Outcome::Refused { .. } => {}
            Outcome::Unknown { .. } => this.open += 1,
        }
    }
}

/// Every order that was asked for, by its number, and what was told of it. `entries` are in the order of the answers.
pub(super) fn told(entries: &[Entry]) -> BTreeMap<usize, Told<'_>> {
    let mut orders: BTreeMap<usize, Told<'_>> = BTreeMap::new();
    for entry in entries {
        let told = orders.entry(entry.number).or_default();
        match entry.call {
            Call::Place | Call::Again => match &entry.outcome {
                Outcome::Ok { order_id, .. } => told.placed.push(order_id),
                Outcome::Refused { reason, metadata } if entry.outcome.is_definite() => {
                    told.refused.push((reason, metadata));
                }
                Outcome::Refused { .. } => {}
                Outcome::Unknown { .. } => told.open += 1,
            },
            Call::Forge if entry.outcome.is_definite() => told.forged.push(&entry.outcome),
            Call::Forge => {}
            Call::Cancel => Asked::note(&mut told.cancel, &entry.outcome),
            Call::Advance { to } => Asked::note(told.advance.entry(to).or_default(), &entry.outcome),
        }
    }
    orders
}
