//! `booster replay`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use bus::consumer::Consumer;
use bus::consumer::replay::{Order, PER_SECOND, PER_SECOND_MOST, Replay as Replaying, Taken};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use kit::boot::SIGNALLED;
use kit::config::Servers;
use kit::error::Invalid;
use time::OffsetDateTime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::instant;
use crate::say::{aside, say};
use crate::services;

/// Take a span of a topic through a consumer once more
///
/// What has taken effect is known to the inbox and does not take effect again; what was lost on the way takes effect now. What is
/// parked stays parked, and what an operator has discarded stays away. Events that are older than the inbox reaches (ten days) are
/// skipped: nobody knows whether they took effect. The end is fixed at the beginning. May run beside the services, which go on
/// as they are, and may be ended at any time: it says from where to go on.
///
/// Tells how many records it has read, and what became of them. Exit code 0 when it has read all of them, whatever became of them.
///
/// Example: booster replay --topic booster.promotion.v1 --consumer promotion --from 2030-01-31T10:00:00Z --to now
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// Which topic, without the namespace
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// From what Kafka got at this instant on, as in 2030-01-31T10:00:00+09:00; `beginning`: from the first that there is
    #[arg(long, value_name = "INSTANT", value_parser = |text: &str| bound(text, &["beginning"]))]
    from: Bound,
    /// Up to what Kafka got before this instant; `now`: up to the last that there is
    #[arg(long, value_name = "INSTANT", value_parser = |text: &str| bound(text, &["now", "end"]))]
    to: Bound,
    /// Through this consumer, where several read the topic
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// How many events a second, at most
    #[arg(long, default_value_t = PER_SECOND, value_name = "NUMBER")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(PER_SECOND_MOST)))]
    per_second: u32,
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    order: order::Config,
    #[command(flatten)]
    ranking: ranking::Config,
}

/// Where a span begins or ends; without an instant where the topic does.
#[derive(Debug, Clone, Copy)]
struct Bound(Option<OffsetDateTime>);

fn bound(text: &str, words: &[&str]) -> Result<Bound, String> {
    if words.contains(&text) {
        return Ok(Bound(None));
    }
    instant::parse(text).map(|time| Bound(Some(time))).map_err(|why| format!("{why}, nor {}", words.join(" or ")))
}

/// How a replay ended.
enum Ended {
    Whole,
    /// By the signal of this number.
    Told(u8),
}

impl Replay {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        self.servers.check()?;
        let (from, to) = (self.from.0, self.to.0);
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(Invalid::new("--from", "is not before --to").into());
        }
        self.ranking.check()?;
        let consumers = services::consumers(&self.order, &self.ranking);
        let consumer = choose(consumers, &self.topic, self.consumer.as_deref())?;
        if let Some(newer) = services::check(&self.servers, consumer.service()).await? {
            aside(format_args!("note: {newer}"));
        }
        let pool = kit::postgres::connect(&self.servers, consumer.service()).await?;
        let order = Order { topic: self.topic, from, to, per_second: self.per_second };
        let mut replay = Replaying::begin(&self.servers, pool, consumer, &order).await?;
        let bar = bar(replay.total());
        let mut taken = Taken::default();
        let mut signals = Signals::take()?;
        let total = HumanCount(replay.total());
        aside(format_args!("{total} records, {} a second at most", HumanCount(self.per_second.into())));
        let ended = follow(&mut replay, &mut signals, &mut taken, &bar).await;
        bar.finish_and_clear();
        tell(taken);
        let reached = || {
            let from = replay.reached().map(instant::timestamp).and_then(instant::exact);
            let from = from.unwrap_or_else(|| "beginning".to_owned());
            format!("{} of {} records are done; go on with --from {from}", read(taken), replay.total())
        };
        match ended.with_context(reached)? {
            Ended::Whole => Ok(ExitCode::SUCCESS),
            Ended::Told(number) => {
                aside(format_args!("told to end: {}", reached()));
                Ok(ExitCode::from(SIGNALLED + number))
            }
        }
    }
}

async fn follow(
    replay: &mut Replaying,
    signals: &mut Signals,
    taken: &mut Taken,
    bar: &ProgressBar,
) -> anyhow::Result<Ended> {
    loop {
        let step = tokio::select! {
            step = replay.step() => step?,
            number = signals.next() => return Ok(Ended::Told(number)),
        };
        let Some(step) = step else { return Ok(Ended::Whole) };
        *taken += step;
        bar.set_position(read(*taken));
    }
}

/// SIGINT and SIGTERM, from the moment this is made on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn take() -> anyhow::Result<Self> {
        let take = |kind| signal(kind).context("signals cannot be taken");
        Ok(Self { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())? })
    }

    /// The number of the next one.
    async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or_default()
    }
}

/// Who reads the topic.
fn choose(consumers: Vec<Consumer>, topic: &str, name: Option<&str>) -> Result<Consumer, Invalid> {
    let mut topics: Vec<String> = consumers.iter().flat_map(|consumer| consumer.topics().to_vec()).collect();
    topics.sort();
    topics.dedup();
    let reads = |consumer: &Consumer| consumer.topics().iter().any(|other| other == topic);
    let mut readers: Vec<Consumer> = consumers.into_iter().filter(reads).collect();
    if readers.is_empty() {
        let known = topics.join(", ");
        return Err(Invalid::new("--topic", format!("is {topic:?}, which nobody here reads; read are: {known}")));
    }
    let names = readers.iter().map(Consumer::name).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        readers.retain(|consumer| consumer.name() == name);
    }
    match (readers.pop(), readers.is_empty(), name) {
        (Some(only), true, _) => Ok(only),
        (None, _, Some(name)) => {
            Err(Invalid::new("--consumer", format!("is {name:?}, which does not read {topic}; who reads it: {names}")))
        }
        _ => Err(Invalid::new("--consumer", format!("is missing, and several read {topic}: {names}"))),
    }
}

fn read(taken: Taken) -> u64 {
    taken.first + taken.again + taken.parked + taken.skipped + taken.passed
}

fn tell(taken: Taken) {
    let Taken { first, again, parked, skipped, passed } = taken;
    if skipped > 0 {
        aside(format_args!(
            "{} events are older than the inbox reaches: nobody knows whether they took effect, and they were left as they are",
            HumanCount(skipped)
        ));
    }
    let passed = if passed > 0 { format!(", {passed} passed over") } else { String::new() };
    say!("replay     {} read: {first} first, {again} again, {parked} parked, {skipped} skipped{passed}", read(taken));
}

/// On a terminal only.
fn bar(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} records, {eta} left");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use bus::consumer::Effects;
    use bus::failed::Failed;
    use bus::inbox::First;
    use bus::outbox::Told;
    use kit::postgres::Tx;

    use super::*;

    struct Nothing;

    impl Effects for Nothing {
        async fn apply(&self, _: &mut Tx, _: &[First]) -> Result<Told, Failed> {
            Ok(Told::nothing())
        }
    }

    fn consumers() -> Vec<Consumer> {
        let consumer = |name, topics: &[&str]| {
            Consumer::new(name, "service", topics.iter().map(|topic| (*topic).to_owned()).collect(), Nothing)
        };
        vec![consumer("one", &["a", "b"]), consumer("two", &["b", "c"])]
    }

    fn chosen(topic: &str, name: Option<&str>) -> Result<String, String> {
        let chosen = choose(consumers(), topic, name);
        chosen.map(|consumer| consumer.name().to_owned()).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn a_consumer_is_named_only_where_several_read_the_topic() {
        assert_eq!(chosen("a", None).as_deref(), Ok("one"));
        assert_eq!(chosen("c", Some("two")).as_deref(), Ok("two"));
        assert_eq!(chosen("b", Some("one")).as_deref(), Ok("one"));
        let several = "--consumer is missing, and several read b: one, two";
        assert_eq!(chosen("b", None).unwrap_err(), several);
        let other = "--consumer is \"two\", which does not read a; who reads it: one";
        assert_eq!(chosen("a", Some("two")).unwrap_err(), other);
        let unknown = "--topic is \"d\", which nobody here reads; read are: a, b, c";
        assert_eq!(chosen("d", None).unwrap_err(), unknown);
    }

    #[test]
    fn a_bound_is_a_word_or_an_instant() {
        assert!(bound("beginning", &["beginning"]).unwrap().0.is_none());
        assert!(bound("2030-01-31T10:00:00+09:00", &["now"]).unwrap().0.is_some());
        let why = bound("beginning", &["now", "end"]).unwrap_err();
        assert_eq!(why, "it is not like 2030-01-31T10:00:00+09:00, nor now or end");
    }
}
