//! What comes three times, and in disorder, ends in the same state as what came once and in order.

use std::collections::HashMap;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::kafka::{Producer, Record, until_consumed};
use crate::place::{Place, seed, tag};
use crate::running::Running;

/// Subjects, and how often each of them changes.
pub const SUBJECTS: u16 = 40;
pub const CHANGES: i64 = 10;

async fn state(place: &Place) -> HashMap<String, (i64, String)> {
    let rows: Vec<(String, i64, String)> =
        sqlx::query_as("SELECT subject, sequence, body FROM state").fetch_all(&place.pool).await.unwrap();
    rows.into_iter().map(|(subject, sequence, body)| (subject, (sequence, body))).collect()
}

#[tokio::test]
async fn three_of_each_in_disorder_end_in_the_same_state() {
    let mut rng = StdRng::seed_from_u64(seed());
    let place = Place::new("shuffle").await;
    let mut records = Vec::new();
    for number in 0..SUBJECTS {
        let subject = format!("subject-{number}");
        records.extend((1..=CHANGES).map(|sequence| Record::event(tag(number), &subject, sequence)));
    }
    ends_in_the_same_state(&place, records, &mut rng).await;
    place.end().await;
}

/// Puts three of each on the topic, in disorder: every subject's newest state is what remains.
pub async fn ends_in_the_same_state(place: &Place, records: Vec<Record>, rng: &mut StdRng) {
    let mut records: Vec<_> = records.into_iter().flat_map(|event| [event.clone(), event.clone(), event]).collect();
    records.shuffle(rng);
    Producer::new(place).send(&records).await;
    let consumer = Running::consumer(place, "count").await;
    until_consumed(place, "count").await;
    place.assert_once("count", records.len() / 3).await;
    let newest = |number| {
        let subject = format!("subject-{number}");
        (subject.clone(), (CHANGES, format!("{subject} {CHANGES}")))
    };
    assert_eq!(state(place).await, (0..SUBJECTS).map(newest).collect());
    consumer.stop().await;
}

#[tokio::test]
async fn an_older_event_that_comes_later_takes_effect_and_changes_no_state() {
    let place = Place::new("shuffle-older").await;
    let producer = Producer::new(&place);
    let consumer = Running::consumer(&place, "count").await;
    producer.send(&[Record::event(tag(1), "subject", 2)]).await;
    place.until_effects("count", 1).await;
    // In a batch of its own, and in one with a newer event.
    producer.send(&[Record::event(tag(1), "subject", 1)]).await;
    place.until_effects("count", 2).await;
    producer.send(&[Record::event(tag(1), "subject", 4), Record::event(tag(1), "subject", 3)]).await;
    until_consumed(&place, "count").await;
    let sequences: Vec<_> = place.effects("count").await.iter().map(|effect| effect.sequence).collect();
    assert_eq!(sequences, [2, 1, 4, 3]);
    assert_eq!(state(&place).await["subject"], (4, "subject 4".to_owned()));
    consumer.stop().await;
    place.end().await;
}
