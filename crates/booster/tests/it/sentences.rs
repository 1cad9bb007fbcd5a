//! What an operator is told when something is not as it should be: one sentence that says what is wrong and what to do, and
//! an exit code. Each row of a table runs the real binary.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::Connection as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use trial::ground::Ground;
use trial::process::Program;

use crate::booster::{PATH, run_with, told};

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";
/// Commands that need all servers.
const ALL: &[&str] = &["all", "migrate", "audit"];
/// How long a Redis node, or a line of a log, may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that is wrong.
struct Row {
    /// Who finds it.
    commands: &'static [&'static str],
    /// What is set otherwise than it should be.
    env: Vec<(&'static str, String)>,
    /// What the sentence contains.
    says: &'static [&'static str],
}

impl Row {
    fn new(commands: &'static [&'static str], env: &[(&'static str, &str)], says: &'static [&'static str]) -> Self {
        Self { commands, env: env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), says }
    }

    /// Runs each of its commands, which has to fail with one sentence and the exit code 1.
    async fn check(&self, ground: &Ground) {
        for command in self.commands {
            let mut env = ground.env();
            env.extend(self.env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            let said = failed(env, &[command], 1).await;
            assert_eq!(said.lines().count(), 1, "{command}: {said}");
            assert!(said.starts_with("booster: "), "{command}: {said}");
            self.says.iter().for_each(|words| assert!(said.contains(words), "{command}: {words} is not in {said}"));
        }
    }
}

#[tokio::test]
async fn a_wrong_flag_or_value_ends_with_2_before_anything_is_opened() {
    for (args, words) in [
        (&["all", "--nonsense"][..], "unexpected argument '--nonsense'"),
        (
            &["migrate", "--postgres-admin-url", "nonsense"],
            "--postgres-admin-url is not a URL of PostgreSQL, as in postgres://",
        ),
        (
            &["all", "--postgres-url", "postgres://a:b@[::x"],
            "--postgres-url is not a URL of PostgreSQL, as in postgres://",
        ),
        (&["all", "--postgres-connections", "0"], "--postgres-connections is 0"),
        (&["audit", "--redis-nodes", "here"], "--redis-nodes has \"here\", which is not host:port"),
        (&["audit", "--redis-password", "file:/nowhere"], "No such file"),
        (&["audit", "--deal", "a b"], "--deal: deal_id has ' '"),
        (
            &["replay", "--topic", "nonsense", "--from", "beginning", "--to", "now"],
            "--topic is \"nonsense\", which nobody here reads; read are: booster.order.v1, booster.payment.v1, booster.point.v1, \
             booster.promotion.v1",
        ),
        (
            &["replay", "--topic", "booster.promotion.v1", "--from", "now", "--to", "now"],
            "it is not like 2030-01-31T10:00:00+09:00, nor beginning",
        ),
        (
            &["replay", "--topic", "booster.promotion.v1", "--from", "beginning", "--to", "now"],
            "--consumer is missing, and several read booster.promotion.v1: promotion, order",
        ),
        (
            &["replay", "--topic", "booster.order.v1", "--consumer", "order", "--from", "beginning", "--to", "now"],
            "--consumer is \"order\", which does not read booster.order.v1; who reads it: promotion.orders, point, payment, ranking",
        ),
        (&["fence", "release", "64"], "a tag is a number from 0 to 63"),
        (&["deal", "create", "lunch", "--stock", "x", "--percent", "1"], "invalid value 'x' for '--stock"),
        (
            &["deal", "create", "a", "--stock", "1", "--percent", "1", "--opens-at", "soon"],
            "not like 2030-01-31T10:00:00+09:00",
        ),
        (
            &["deal", "show", "lunch", "--addr", "127.0.0.1:50051"],
            "--addr is \"127.0.0.1:50051\", which is not like http://",
        ),
    ] {
        let said = failed(Vec::new(), args, 2).await;
        assert!(said.contains(words), "{args:?}: {words} is not in {said}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_is_another_is_named() {
    let ground = Ground::new("sentences-servers").await;
    let (plain, cluster) = (Redis::start(&[]).await, Redis::cluster().await);
    let (plain_at, cluster_at) = (plain.address(), cluster.address());
    let nowhere = with_password(&ground, "wrong").replace(&place(&ground), NOBODY);
    let wrong = with_password(&ground, "wrong");
    let admin = wrong.replace("{service}", "booster_admin");
    for row in [
        Row::new(
            &["all", "audit"],
            &[("BOOSTER_POSTGRES_URL", &nowhere)],
            &["does not answer: start it, or correct --postgres-url"],
        ),
        Row::new(
            &["migrate"],
            &[("BOOSTER_POSTGRES_ADMIN_URL", &nowhere)],
            &["does not answer: start it, or correct --postgres-admin-url"],
        ),
        Row::new(
            &["all", "audit"],
            &[("BOOSTER_POSTGRES_URL", &wrong)],
            &["refuses the role or its password: correct --postgres-url, or let `booster migrate` make the role"],
        ),
        Row::new(
            &["migrate"],
            &[("BOOSTER_POSTGRES_ADMIN_URL", &admin)],
            &["refuses the role or its password: correct --postgres-admin-url ("],
        ),
        Row::new(
            ALL,
            &[("BOOSTER_REDIS_NODES", NOBODY)],
            &["Redis at 127.0.0.1:1 cannot be reached", "correct --redis-nodes"],
        ),
        Row::new(
            ALL,
            &[("BOOSTER_REDIS_NODES", &plain_at)],
            &["is no cluster: start its nodes with cluster-enabled yes"],
        ),
        Row::new(ALL, &[("BOOSTER_REDIS_NODES", &cluster_at)], &["wants a password: set --redis-password"]),
        Row::new(
            ALL,
            &[("BOOSTER_REDIS_NODES", &cluster_at), ("BOOSTER_REDIS_PASSWORD", "wrong")],
            &["refuses the password: correct --redis-password"],
        ),
        Row::new(
            ALL,
            &[("BOOSTER_REDIS_NODES", &cluster_at), ("BOOSTER_REDIS_PASSWORD", PASSWORD)],
            &["has appendonly no, and durability fsync needs appendonly yes: set it (CONFIG SET appendonly yes"],
        ),
        Row::new(
            &["migrate"],
            &[("BOOSTER_KAFKA_BROKERS", NOBODY)],
            &["Kafka does not answer at 127.0.0.1:1 within 5 s: start it, or correct --kafka-brokers"],
        ),
    ] {
        row.check(&ground).await;
    }
    ground.end().await;
}

#[tokio::test]
async fn a_process_serves_without_kafka_and_says_so() {
    let ground = Ground::new("sentences-kafka").await;
    told(Some(&ground), &["migrate"]).await;
    let mut env = ground.env();
    env.push(("BOOSTER_KAFKA_BROKERS".to_owned(), NOBODY.to_owned()));
    let mut process = Program::new("sentences-kafka", PATH).args(["all"]).envs(env).start().await;
    wait_for_line(&process, "Kafka cannot be read: start it, or correct --kafka-brokers").await;
    assert_eq!(process.stop().await, Some(0));
    let mut env = ground.env();
    env.push(("BOOSTER_KAFKA_BROKERS".to_owned(), NOBODY.to_owned()));
    let replay =
        ["replay", "--topic", "booster.promotion.v1", "--consumer", "promotion", "--from", "beginning", "--to", "now"];
    let said = failed(env, &replay, 1).await;
    assert!(said.starts_with("booster: Kafka does not answer at 127.0.0.1:1"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    ground.end().await;
}

#[tokio::test]
async fn tables_of_another_version_are_told_from_one_another() {
    let ground = Ground::new("sentences-tables").await;
    told(Some(&ground), &["migrate"]).await;
    let sql = async |statement: &'static str| {
        let mut admin = sqlx::PgConnection::connect(ground.admin_url().expose()).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut admin).await.unwrap();
    };

    // A newer Booster was here: what serves goes on, and what prepares does not touch it.
    sql("INSERT INTO promotion.migrations SELECT 9999, 'newer', now(), true, 'x', 0").await;
    let mut process = Program::new("sentences-newer", PATH).args(["all"]).envs(ground.env()).start().await;
    wait_for_line(&process, "has the tables of a newer Booster (promotion.migrations has 9999)").await;
    assert_eq!(process.stop().await, Some(0));
    let audit = told(Some(&ground), &["audit"]).await;
    assert!(audit.contains("newer Booster") && audit.contains("0 violations"), "{audit}");
    let refused = Row::new(&["migrate"], &[], &["was prepared by a newer Booster (promotion.migrations has 9999)"]);
    refused.check(&ground).await;

    sql(
        "DELETE FROM promotion.migrations WHERE version = 9999; DELETE FROM promotion.bus_migrations WHERE version = 2",
    )
    .await;
    let older = &["has the tables of an older Booster (promotion.bus_migrations lacks 2): run `booster migrate`"];
    Row::new(&["all", "audit"], &[], older).check(&ground).await;

    sql("UPDATE promotion.bus_migrations SET checksum = 'x'").await;
    Row::new(&["migrate"], &[], &["is not the one of this Booster", "another build"]).check(&ground).await;

    // Where one server is away, migrate does not begin with the others.
    sql("DROP SCHEMA promotion CASCADE").await;
    Row::new(&["migrate"], &[("BOOSTER_REDIS_NODES", NOBODY)], &["cannot be reached"]).check(&ground).await;
    let missing = &["has no tables of promotion: run `booster migrate` first"];
    Row::new(&["all", "audit"], &[], missing).check(&ground).await;
    ground.end().await;
}

#[tokio::test]
async fn a_deal_is_not_asked_of_nobody_or_of_somebody_else() {
    let other = Redis::start(&[]).await;
    let (nobody, other_url) = (format!("http://{NOBODY}"), format!("http://{}", other.address()));
    for (args, words) in [
        (
            ["deal", "show", "lunch", "--addr", &nobody],
            "nothing answers at http://127.0.0.1:1: start `booster all` there",
        ),
        (["deal", "show", "lunch", "--addr", &other_url], "does not answer as a Booster does: correct --addr"),
    ] {
        let said = failed(Vec::new(), &args, 1).await;
        assert!(said.starts_with("booster: ") && said.contains(words) && said.lines().count() == 1, "{said}");
    }
    for (addr, words) in [(NOBODY, "nothing answers"), (&other.address(), "does not say how it is, as a Booster does")]
    {
        let said = failed(Vec::new(), &["healthcheck", "--grpc-addr", addr], 1).await;
        assert!(said.contains(words) && said.lines().count() == 1, "{said}");
    }
}

/// What the binary says on stderr as it fails: never a panic, never a backtrace.
async fn failed(mut env: Vec<(String, String)>, args: &[&str], code: i32) -> String {
    let own = [("GRPC_ADDR", "127.0.0.1:0"), ("ADMIN_ADDR", "127.0.0.1:0"), ("LOG", "error")];
    env.extend(own.map(|(name, value)| (format!("BOOSTER_{name}"), value.to_owned())));
    env.push(("RUST_BACKTRACE".to_owned(), "1".to_owned()));
    let output = run_with(env, args).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{args:?}: {said}");
    said
}

async fn wait_for_line(process: &trial::process::Child, words: &str) {
    let begun = Instant::now();
    loop {
        let log = std::fs::read_to_string(process.log()).unwrap();
        if log.contains(words) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{words} is not in {log}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// The ground's URL of PostgreSQL with another password.
fn with_password(ground: &Ground, password: &str) -> String {
    let url = ground.servers().postgres_url.expose().to_owned();
    let (_, rest) = url.rsplit_once('@').unwrap();
    format!("postgres://{{service}}:{password}@{rest}")
}

/// Where the ground's PostgreSQL listens.
fn place(ground: &Ground) -> String {
    let url = ground.servers().postgres_url.expose().to_owned();
    let (_, rest) = url.rsplit_once('@').unwrap();
    rest.split('/').next().unwrap().to_owned()
}

/// The password of [`Redis::cluster`].
const PASSWORD: &str = "secret";

/// One Redis node of a test's own, ended when it is dropped.
struct Redis {
    port: u16,
    folder: PathBuf,
    _process: Child,
}

impl Redis {
    async fn start(settings: &[&str]) -> Self {
        let port = free_port();
        let folder = trial::ground::root().join(format!("target/trial/sentences-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1", "--logfile", "log"]);
        let process = command.args(settings).current_dir(&folder).kill_on_drop(true).spawn().unwrap();
        let redis = Self { port, folder, _process: process };
        let begun = Instant::now();
        while redis.cli(&["PING"]).await.is_empty() {
            assert!(begun.elapsed() < PATIENCE, "a Redis node does not start");
            sleep(Duration::from_millis(50)).await;
        }
        redis
    }

    /// A cluster of one node with all slots, a password, and nothing set as it should be.
    async fn cluster() -> Self {
        let bus = free_port().to_string();
        let mut settings = vec!["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"];
        settings.extend(["--cluster-port", &bus, "--requirepass", PASSWORD]);
        let redis = Self::start(&settings).await;
        redis.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
        let begun = Instant::now();
        while !redis.cli(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
            assert!(begun.elapsed() < PATIENCE, "a cluster of one node does not come to be");
            sleep(Duration::from_millis(50)).await;
        }
        redis
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    async fn cli(&self, args: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string(), "-a", PASSWORD, "--no-auth-warning"]).args(args);
        String::from_utf8(command.output().await.unwrap().stdout).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // What is left of it is below `target/`.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
