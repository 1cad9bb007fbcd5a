//! What a journal keeps: everything that has not taken effect, and everything that Kafka has not acknowledged.

use std::time::Duration;

use bus::arrival::{Arrival, wait};
use bus::journal::{EntryId, Position, Tag};
use fred::interfaces::{LuaInterface as _, StreamsInterface as _};
use kit::redis::Redis;

use crate::counting;
use crate::door::Door;
use crate::place::{Place, tag, until};
use crate::running::{Differently, Running};

/// Longer than it takes a relay to hear of progress, and to trim.
const A_WHILE: Duration = Duration::from_millis(2_500);

/// As if everything up to an entry had taken effect.
async fn set_progress(place: &Place, tag: Tag, entry: EntryId) {
    let statement = "INSERT INTO journal_progress VALUES ($1, 1, $2, $3) ON CONFLICT (tag)
        DO UPDATE SET entry_ms = excluded.entry_ms, entry_seq = excluded.entry_seq";
    let query = sqlx::query(statement).bind(tag.to_sql()).bind(entry.ms.cast_signed()).bind(entry.seq.cast_signed());
    query.execute(&place.pool).await.unwrap();
}

async fn until_marked(place: &Place, tag: Tag, entry: EntryId) {
    let statement = "SELECT count(*) FROM journal_mark WHERE (tag, entry_ms, entry_seq) = ($1, $2, $3)";
    until("Kafka has acknowledged it", async || {
        let query = sqlx::query_scalar::<_, i64>(statement).bind(tag.to_sql());
        let query = query.bind(entry.ms.cast_signed()).bind(entry.seq.cast_signed());
        query.fetch_one(&place.pool).await.unwrap() == 1
    })
    .await;
}

/// The first entry that the journal still holds.
async fn oldest(place: &Place, tag: Tag) -> EntryId {
    let entries: Vec<(String, std::collections::HashMap<String, String>)> =
        place.redis.xrange_values(place.keys.journal(tag), "-", "+", Some(1)).await.unwrap();
    entries[0].0.parse().unwrap()
}

#[tokio::test]
async fn a_journal_keeps_what_has_not_taken_effect() {
    let (place, tag) = (Place::new("trim-progress").await, tag(9));
    let relay = Running::relay(&place).await;
    let ids = place.write_many(tag, "subject", 1, 30).await;
    until_marked(&place, tag, ids[29]).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(place.length(tag).await, 30, "nothing has taken effect");
    let redis = Redis::connect(&place.servers, 1, &[bus::redis::LIBRARY]).await.unwrap();
    let behind = wait(&redis, &place.pool, &place.keys, tag, Duration::ZERO).await.unwrap();
    let last = Position { epoch: 1, entry: ids[29] };
    assert_eq!(behind, Arrival::Behind { progress: Position::default(), last });

    set_progress(&place, tag, ids[20]).await;
    until("what is below progress goes", async || place.length(tag).await < 30).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((place.length(tag).await, oldest(&place, tag).await), (10, ids[20]), "strictly below progress");

    let consumer = Running::consumer(&place, "count").await;
    place.until_effects("count", 30).await;
    until("the rest goes", async || place.length(tag).await == 1).await;
    assert_eq!(oldest(&place, tag).await, ids[29]);
    assert_eq!(wait(&redis, &place.pool, &place.keys, tag, Duration::ZERO).await.unwrap(), Arrival::Complete);
    redis.close().await;
    relay.stop().await;
    consumer.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_journal_keeps_what_kafka_has_not_acknowledged() {
    let (place, tag) = (Place::new("trim-mark").await, tag(9));
    let door = Door::before_kafka(&place.servers).await;
    let whole = Running::start().await;
    whole.add_relay(&place, Differently { kafka_brokers: Some(door.address()), ..Differently::default() }).await;
    whole.add_consumer(&place, counting::Counting::new("count")).await;
    let before = place.write_many(tag, "subject", 1, 10).await;
    until("all of it is through", async || place.length(tag).await == 1).await;
    door.shut();
    let after = place.write_many(tag, "subject", 11, 10).await;
    // Progress that runs ahead of the mark is no leave to drop what Kafka has not acknowledged.
    set_progress(&place, tag, after[9]).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((place.length(tag).await, oldest(&place, tag).await), (11, before[9]));
    door.open();
    until("the rest goes", async || place.length(tag).await == 1).await;
    place.until_effects("count", 20).await;
    place.assert_once("count", 20).await;
    whole.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_journal_of_a_new_epoch_is_read_from_its_beginning() {
    let (place, tag) = (Place::new("trim-epoch").await, tag(9));
    let whole = Running::whole(&place, "count").await;
    let old = place.write_many(tag, "subject", 1, 5).await;
    until("the old journal is through", async || place.length(tag).await == 1).await;
    // The ids of the new one are lower than all that has been seen.
    let anew = "redis.call('HSET', KEYS[1], 'epoch', '2') redis.call('DEL', KEYS[2])
        return redis.call('XADD', KEYS[2], '7-1', 'kind', 'stamped')";
    let keys = vec![place.keys.fence(tag), place.keys.journal(tag)];
    let _: String = place.redis.eval(anew, keys, Vec::<String>::new()).await.unwrap();
    for id in ["7-2", "7-3", "8-0"] {
        place.write_as(tag, id, counting::entry("subject", 6)).await;
    }
    place.until_effects("count", 8).await;
    until("the new journal is trimmed", async || place.length(tag).await == 1).await;
    let ids: Vec<_> = place.effects("count").await.into_iter().map(|effect| effect.ce_id).collect();
    assert_eq!(ids[5..], ["promotion/9/2/7-2/0", "promotion/9/2/7-3/0", "promotion/9/2/8-0/0"]);
    let lowest = EntryId { ms: 8, seq: 0 };
    assert_eq!(oldest(&place, tag).await, lowest);
    assert!(lowest < old[0] && Position { epoch: 1, entry: old[0] } < Position { epoch: 2, entry: lowest });
    whole.stop().await;
    place.end().await;
}
