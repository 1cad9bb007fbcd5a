//! Consumers come and go while events flow: partitions change hands, each event takes effect once, in the order of its key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::counting::Counting;
use crate::door::Door;
use crate::kafka::{Producer, Record, until_consumed};
use crate::place::{Place, seed, tag};
use crate::running::Running;

/// Pause between two who come or go.
const STEP: Duration = Duration::from_secs(2);
/// How long one who was cut off goes on.
const CUT_OFF: Duration = Duration::from_millis(500);
/// How long each batch takes in addition, in milliseconds.
const SLOW_MS: u64 = 40;
/// What happens, one after the other, again and again.
const CHANGES: [Change; 6] =
    [Change::Joins, Change::IsCutOff, Change::Joins, Change::Dies, Change::Joins, Change::Leaves];

#[derive(Clone, Copy, Debug)]
enum Change {
    /// One more consumes.
    Joins,
    /// One ends in order: its offsets are committed.
    Leaves,
    /// One ends where it stands, and its partitions are given to others at once.
    Dies,
    /// One goes on with what it has, can commit no offsets for it, and dies. Its partitions are free when Kafka misses it.
    IsCutOff,
}

/// How many changes there are: `BOOSTER_TEST_FULL=1` makes it a minute.
fn changes() -> usize {
    if std::env::var("BOOSTER_TEST_FULL").is_ok() { 30 } else { 5 }
}

/// Those who consume, each behind a door of its own.
struct Group<'a> {
    place: &'a Place,
    members: Vec<(Running, Door)>,
    rng: StdRng,
}

impl Group<'_> {
    async fn change(&mut self, change: Change) {
        match change {
            Change::Joins => self.join().await,
            Change::Leaves => self.leaver().0.stop().await,
            Change::Dies => self.leaver().0.die(),
            Change::IsCutOff => {
                let (running, door) = self.leaver();
                door.shut();
                tokio::time::sleep(CUT_OFF).await;
                running.die();
            }
        }
    }

    /// The next who goes, by chance.
    fn leaver(&mut self) -> (Running, Door) {
        self.members.remove(self.rng.random_range(0..self.members.len()))
    }

    async fn join(&mut self) {
        let door = Door::before_kafka(&self.place.servers).await;
        let running = Running::start().await;
        let counting = Counting::new("count");
        // Batches that are still in hand when their partitions go to somebody else.
        counting.slow_ms.store(SLOW_MS, Ordering::Relaxed);
        running.add_consumer_on(self.place, counting, &door.address()).await;
        self.members.push((running, door));
    }
}

#[tokio::test]
async fn each_event_takes_effect_once_while_consumers_come_and_go() {
    let rng = StdRng::seed_from_u64(seed());
    let place = Place::new("rebalance").await;
    let producer = Producer::new(&place);
    let write = async |sequence| {
        let records = (0..8).map(|number| Record::event(tag(number), &format!("subject-{number}"), sequence));
        producer.send(&records.collect::<Vec<_>>()).await;
    };
    let written = consumers_come_and_go(&place, rng, changes(), write).await;
    place.assert_once("count", usize::try_from(8 * written).unwrap()).await;
    place.end().await;
}

/// Consumers come and go while something is written again and again, the next event of each subject every time: each subject's
/// events take effect in their order, and nothing is parked. Returns how often.
pub async fn consumers_come_and_go(place: &Place, rng: StdRng, changes: usize, write: impl AsyncFn(i64)) -> i64 {
    let mut group = Group { place, members: Vec::new(), rng };
    group.join().await;
    let over = AtomicBool::new(false);
    let flow = async {
        let mut sequence = 0;
        while !over.load(Ordering::Relaxed) {
            sequence += 1;
            write(sequence).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sequence
    };
    let coming_and_going = async {
        for change in CHANGES.iter().cycle().take(changes) {
            tokio::time::sleep(STEP).await;
            group.change(*change).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    let (written, ()) = tokio::join!(flow, coming_and_going);
    until_consumed(place, "count").await;
    let mut last = HashMap::new();
    for effect in place.effects("count").await {
        let before = last.insert(effect.subject.clone(), effect.sequence).unwrap_or_default();
        assert_eq!(effect.sequence, before + 1, "{} is out of order", effect.subject);
    }
    assert!(place.parked("count").await.is_empty());
    for (member, _door) in group.members {
        member.stop().await;
    }
    written
}
