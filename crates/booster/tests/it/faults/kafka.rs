//! Kafka is away, and with it, or in between, whoever relays.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Field, seconds};

/// How soon another process must relay.
const TAKEOVER: Duration = Duration::from_secs(10);

impl Field {
    /// Which of the processes relays.
    async fn relaying(&self) -> Option<usize> {
        let holder: String = sqlx::query_scalar("SELECT holder FROM promotion.lease WHERE name = 'journal'")
            .fetch_one(&mut self.sql().await)
            .await
            .unwrap();
        let pid = holder.rsplit(':').next()?.parse().ok()?;
        self.processes.iter().position(|process| process.pid() == Some(pid))
    }
}

#[tokio::test]
async fn kafka_is_away_and_so_is_the_relay_and_claims_go_on() {
    let mut field = Field::start("kafka").await;
    let away = field.crowd("kafka-away").await;
    away.during(async {
        field.with(|servers| servers.kill_kafka()).await;
        sleep(seconds(5, 60)).await;
        field.with(|servers| servers.restart_kafka()).await;
    })
    .await;
    // Not one claim was refused, or even had to wait for its deadline, because of Kafka.
    away.assert_undisturbed();

    // Killed between Redis and Kafka: what is journalled is not acknowledged, and must come from the other process.
    let between = field.crowd("between").await;
    let relaying = field.relaying().await.unwrap();
    let (servers, killed) = (field.servers.clone(), &mut field.processes[relaying]);
    between
        .during(async {
            servers.pause_kafka();
            sleep(Duration::from_secs(1)).await;
            killed.kill9().await;
            servers.resume_kafka();
        })
        .await;
    let since = Instant::now();
    while field.relaying().await.is_none() {
        assert!(since.elapsed() < TAKEOVER, "nobody else relays");
        sleep(Duration::from_millis(100)).await;
    }
    between.assert_exact(&field.servers.postgres_url()).await;
    field.processes[relaying].start_again().await;

    // Killed together with the broker.
    let together = field.crowd("together").await;
    let relaying = field.relaying().await.unwrap();
    let (servers, killed) = (field.servers.clone(), &mut field.processes[relaying]);
    together
        .during(async {
            sleep(Duration::from_millis(500)).await;
            let broker = tokio::task::spawn_blocking(move || servers.kill_kafka());
            let (broker, ()) = tokio::join!(broker, killed.kill9());
            broker.unwrap();
            sleep(Duration::from_secs(1)).await;
            killed.start_again().await;
        })
        .await;
    field.with(|servers| servers.restart_kafka()).await;
    field.assert_exact(&[&away, &between, &together]).await;
}
