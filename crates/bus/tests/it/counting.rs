//! A small service of the tests' own. It counts: each event that takes effect is one more row, so that a second effect of
//! the same event is seen, and each subject has a state that only a newer event changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus::consumer::{Consumer, Effects};
use bus::event::{Event, NewEvent, Unreadable};
use bus::failed::Failed;
use bus::inbox::First;
use bus::journal::Entry;
use bus::outbox::{Outbox, Told};
use kit::postgres::{Failure, Pool, Tx};
use sqlx::AssertSqlSafe;

/// The service whose role, schema and journals are borrowed: its schema has the tables of the bus.
pub const SERVICE: &str = "promotion";
/// The type of every event of this service.
pub const COUNTED: &str = "booster.test.v1.Counted";
/// How the subject of an event begins that effects have told.
pub const ECHO: &str = "echo of ";
/// A body that a constraint of the table refuses.
pub const BREAKS: &str = "breaks";

/// What the effects change. An index keeps a body from being longer than a few thousand bytes.
const TABLES: &str = "
    CREATE TABLE effect (n bigserial PRIMARY KEY, consumer text NOT NULL, ce_id text NOT NULL, subject text NOT NULL,
      sequence bigint NOT NULL, trace text, body text NOT NULL CHECK (body <> 'breaks'));
    CREATE INDEX effect_by_id ON effect (consumer, ce_id);
    CREATE INDEX effect_by_body ON effect (body);
    CREATE TABLE state (consumer text, subject text, sequence bigint NOT NULL, body text NOT NULL,
      PRIMARY KEY (consumer, subject));
    CREATE TABLE counter (subject text PRIMARY KEY, version bigint NOT NULL);";

/// Makes its tables.
pub async fn make_tables(pool: &Pool) {
    sqlx::raw_sql(AssertSqlSafe(TABLES)).execute(pool).await.unwrap();
}

/// The fields of a journal entry that tells one event for each subject (separated by commas).
pub fn entry(subjects: &str, sequence: i64) -> HashMap<String, String> {
    let at = kit::clock::to_millis(kit::clock::now()).to_string();
    let fields = [("kind", "counted"), ("at", &at), ("subjects", subjects), ("sequence", &sequence.to_string())];
    let mut fields: HashMap<_, _> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    fields.insert("body".to_owned(), format!("{subjects} {sequence}"));
    fields
}

/// What an entry tells.
pub fn events(entry: &Entry) -> Result<Vec<Event>, Unreadable> {
    if entry.text("kind")? != "counted" {
        return Err(Unreadable::new("this is not counted"));
    }
    let (at, sequence, body) = (entry.number("at")?, entry.number("sequence")?, entry.text("body")?);
    let event = |(index, subject): (usize, &str)| Event {
        id: entry.event_id(SERVICE, index),
        kind: COUNTED.to_owned(),
        source: SERVICE.to_owned(),
        subject: subject.to_owned(),
        time: kit::clock::from_millis(at),
        sequence,
        partition_key: entry.tag.to_string(),
        traceparent: entry.text("trace").ok().map(str::to_owned),
        payload: body.to_owned().into(),
    };
    Ok(entry.text("subjects")?.split(',').enumerate().map(event).collect())
}

/// Counts up once, in one transaction with the event that tells of it. Returns the version.
pub async fn count_up(pool: &Pool, outbox: &Outbox, subject: &str) -> i64 {
    let mut change = outbox.begin::<()>(pool).await.unwrap();
    let version = raise(&mut change, subject).await;
    change.commit(&[told(subject, version)]).await.unwrap();
    version
}

/// A counter is one more, and locked until the transaction ends. Returns its version.
pub async fn raise(tx: &mut Tx, subject: &str) -> i64 {
    let statement = "INSERT INTO counter AS mine (subject, version) VALUES ($1, 1)
         ON CONFLICT (subject) DO UPDATE SET version = mine.version + 1 RETURNING version";
    sqlx::query_scalar(statement).bind(subject).fetch_one(&mut **tx).await.unwrap()
}

/// What tells of a counter: its subject is its partition key.
pub fn told(subject: &str, version: i64) -> NewEvent {
    NewEvent {
        kind: COUNTED.to_owned(),
        subject: subject.to_owned(),
        sequence: version,
        partition_key: subject.to_owned(),
        payload: format!("{subject} {version}").into(),
    }
}

/// The effects, under the name of one consumer.
#[derive(Clone, Debug)]
pub struct Counting {
    pub consumer: String,
    /// How long each batch takes in addition, in milliseconds.
    pub slow_ms: Arc<AtomicU64>,
    /// Where each event is told once more, under [`ECHO`] and its subject, if anywhere.
    pub echo: Option<Outbox>,
}

impl Counting {
    /// Effects that are not slow.
    pub fn new(consumer: &str) -> Self {
        Self { consumer: consumer.to_owned(), slow_ms: Arc::default(), echo: None }
    }
}

/// Whoever has these effects, under their name.
pub fn consumer(effects: Counting) -> Consumer {
    let name = effects.consumer.clone();
    Consumer::new(&name, SERVICE, vec![bus::topic::name(SERVICE)], effects)
}

impl Effects for Counting {
    async fn apply(&self, tx: &mut Tx, events: &[First]) -> Result<Told, Failed> {
        let mut rows = Rows::default();
        for event in events {
            rows.push(event)?;
        }
        tokio::time::sleep(Duration::from_millis(self.slow_ms.load(Ordering::Relaxed))).await;
        for statement in [
            "INSERT INTO effect (consumer, ce_id, subject, sequence, trace, body)
             SELECT $1, * FROM UNNEST($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])",
            "INSERT INTO state AS mine (consumer, subject, sequence, body)
             SELECT DISTINCT ON (subject) $1, subject, sequence, body
             FROM UNNEST($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])
               AS t (ce_id, subject, sequence, trace, body)
             ORDER BY subject, sequence DESC
             ON CONFLICT (consumer, subject) DO UPDATE SET sequence = excluded.sequence, body = excluded.body
             WHERE mine.sequence < excluded.sequence",
        ] {
            let query = sqlx::query(statement).bind(&self.consumer).bind(&rows.ids).bind(&rows.subjects);
            let query = query.bind(&rows.sequences).bind(&rows.traces).bind(&rows.bodies);
            query.execute(&mut **tx).await.map_err(Failure::from)?;
        }
        let Some(echo) = &self.echo else { return Ok(Told::nothing()) };
        let heard = events.iter().filter(|event| !event.subject.starts_with(ECHO));
        let events: Vec<_> = heard.map(|event| told(&format!("{ECHO}{}", event.subject), event.sequence)).collect();
        echo.tell(tx, &events).await
    }
}

/// Events by column, as `UNNEST` wants them.
#[derive(Default)]
struct Rows {
    ids: Vec<String>,
    subjects: Vec<String>,
    sequences: Vec<i64>,
    traces: Vec<Option<String>>,
    bodies: Vec<String>,
}

impl Rows {
    fn push(&mut self, event: &Event) -> Result<(), Unreadable> {
        if event.kind != COUNTED {
            return Err(Unreadable::new(format!("{} is not a type of event", event.kind)));
        }
        let body = str::from_utf8(&event.payload).map_err(|_| Unreadable::new("the payload cannot be decoded"))?;
        self.ids.push(event.id.clone());
        self.subjects.push(event.subject.clone());
        self.sequences.push(event.sequence);
        self.traces.push(event.traceparent.clone());
        self.bodies.push(body.to_owned());
        Ok(())
    }
}
