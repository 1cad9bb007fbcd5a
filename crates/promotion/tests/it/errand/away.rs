//! Errands while something is away, frozen, archived, or dies.

use std::time::Duration;

use bus::journal::{Keys, Tag};
use clap::Parser as _;
use fred::interfaces::HashesInterface as _;
use kit::boot::Process;
use kit::config::{ProcessArgs, Servers};
use proto::promotion::v1 as pb;
use proto::r#type::v1::StepKind::{Do, Undo};
use sqlx::Connection as _;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use trial::ground::Ground;

use super::scene::{Asking, Scene, answer, done, refused, told};
use crate::road::connect;
use crate::service::{Service, deal, later, prepare, valid_for};

/// How long whatever must happen in the end may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// The tag of a deal is served, or no more.
async fn set_epoch(servers: &Servers, deal_id: &str, epoch: &str) {
    let fence = Keys::new(servers, promotion::SERVICE).key(Tag::of(deal_id), "fence");
    let _: i64 = connect(servers).await.hset(fence, ("epoch", epoch)).await.unwrap();
}

#[tokio::test]
async fn a_frozen_deal_is_no_answer_until_it_is_released() {
    let mut scene = Scene::new("errand-frozen").await;
    let servers = scene.service.ground.servers();
    scene.service.deal("dinner", 5).await;
    scene.service.claim("dinner", "ann").await.unwrap();
    assert_ne!(Tag::of("lunch"), Tag::of("dinner"), "another tag");
    scene.ask("o1", "ann", "lunch-1", &[Do]).await;
    scene.settled("o1").await;
    set_epoch(&servers, "lunch", "2").await;

    scene.ask("o1", "ann", "lunch-1", &[Undo]).await;
    scene.ask("o2", "bob", "lunch-2", &[Do]).await;
    scene.ask("o3", "ann", "dinner-1", &[Do]).await;
    // What is not frozen goes on.
    assert_eq!(answer(&scene.answers("o3", 1).await[0]), done("o3", Do, 1));
    let tried = "SELECT count(*) FROM promotion.errand WHERE ended_at IS NULL AND attempts >= 4";
    scene.until("both are tried again and again", async |scene| scene.number(tried).await == 2).await;
    assert_eq!((scene.told("o1").await.len(), scene.told("o2").await.len()), (1, 0));
    let pause = "SELECT extract(epoch FROM max(due_at) - clock_timestamp())::float8 < 30 FROM promotion.errand";
    assert!(sqlx::query_scalar::<_, bool>(pause).fetch_one(scene.pool()).await.unwrap());

    set_epoch(&servers, "lunch", "1").await;
    assert_eq!(answer(&scene.answers("o1", 2).await[1]), done("o1", Undo, 2));
    assert_eq!(answer(&scene.answers("o2", 1).await[0]), done("o2", Do, 1));
    scene.end_clean().await;
}

#[tokio::test]
async fn of_an_archived_deal_postgres_answers() {
    let mut scene = Scene::new("errand-archived").await;
    let short = pb::Deal { closes_at: Some(later(4)), ..deal("brief", 5) };
    scene.service.create(valid_for(short, 1)).await.unwrap();
    for user in ["ann", "bob"] {
        scene.service.claim("brief", user).await.unwrap();
    }
    scene.ask("o1", "ann", "brief-1", &[Do]).await;
    assert_eq!(answer(&scene.answers("o1", 1).await[0]), done("o1", Do, 1));
    scene.service.archived("brief").await;
    let archived = "SELECT count(*) FROM promotion.deal WHERE archived_at IS NOT NULL";
    scene.until("PostgreSQL has noted it", async |scene| scene.number(archived).await == 1).await;

    for (order, user, coupon_id, why) in [
        ("o2", "bob", "brief-2", "COUPON_EXPIRED"),
        ("o3", "ann", "brief-1", "COUPON_REDEEMED"),
        ("o4", "bob", "brief-1", "NOT_OWNER"),
        ("o5", "bob", "brief-3", "COUPON_NOT_FOUND"),
    ] {
        scene.ask(order, user, coupon_id, &[Do]).await;
        assert_eq!(answer(&scene.answers(order, 1).await[0]), refused(order, Do, 1, why), "{coupon_id}");
        scene.ask(order, user, coupon_id, &[Undo]).await;
        assert_eq!(answer(&scene.answers(order, 2).await[1]), done(order, Undo, 2), "{coupon_id}");
    }
    // What is over stays the order's, and the order is undone all the same; whoever judges that can know it.
    scene.ask("o1", "ann", "brief-1", &[Undo]).await;
    assert_eq!(answer(&scene.answers("o1", 2).await[1]), done("o1", Undo, 2));
    let coupons = ["brief-1".to_owned(), "lunch-1".to_owned()];
    let known = promotion::find::archived(scene.pool(), &coupons).await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["brief-1"]);
    scene.end_clean().await;
}

#[derive(Debug, clap::Parser)]
struct Flags {
    #[command(flatten)]
    process: ProcessArgs,
}

/// A process in a runtime of its own: it can die without a word.
async fn process(ground: &Ground) -> (Runtime, Process) {
    let (runtime, servers) =
        (Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(), ground.servers());
    let any = "127.0.0.1:0";
    let flags = Flags::parse_from(["test", "--grpc-addr", any, "--admin-addr", any, "--log-filter", "off"]);
    let process = runtime.spawn(async move {
        let process = Process::start(&flags.process, proto::DESCRIPTORS).await.unwrap();
        promotion::run(&servers, &process).await.unwrap();
        process
    });
    let process = process.await.unwrap();
    runtime.spawn(process.clone().run_to_end());
    (runtime, process)
}

#[tokio::test]
async fn a_death_between_redis_and_the_answer_is_answered_by_the_next_process() {
    let mut service = Service::start("errand-dies").await;
    service.deal("lunch", 5).await;
    for user in ["ann", "bob"] {
        service.claim("lunch", user).await.unwrap();
    }
    service.redeem("lunch-2", "bob", "o2").await.unwrap();
    service.arrived("lunch", 2).await;
    let ground = service.stop().await;
    prepare(&ground.servers()).await;
    let pool = kit::postgres::connect(&ground.servers(), promotion::SERVICE).await.unwrap();

    // Nobody can tell anything now; everything else goes on.
    let mut mute = sqlx::PgConnection::connect(ground.admin_url().expose()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE promotion.outbox IN SHARE MODE").execute(&mut mute).await.unwrap();
    let (dying, first) = process(&ground).await;
    let asking = Asking::new(&ground).await;
    asking.relay(&first).await;
    asking.ask("o1", "ann", "lunch-1", &[Do]).await;
    asking.ask("o2", "bob", "lunch-2", &[Undo]).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND query LIKE 'INSERT INTO outbox%'";
    let done_in_redis = "SELECT count(*) FROM promotion.coupon
        WHERE (rank, state, coalesce(order_id, '')) IN ((1, 'REDEEMED', 'o1'), (2, 'ISSUED', ''))";
    let number = async |statement| sqlx::query_scalar::<_, i64>(statement).fetch_one(&pool).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while number(done_in_redis).await < 2 || number(waits).await == 0 {
        assert!(Instant::now() < deadline, "Redis has not done it, or nobody tells it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    dying.shutdown_background();
    mute.close().await.unwrap();
    assert_eq!((told(&pool, "o1").await.len(), told(&pool, "o2").await.len()), (0, 0));
    assert_eq!(number("SELECT count(*) FROM promotion.errand WHERE ended_at IS NULL").await, 2);

    let (living, second) = process(&ground).await;
    let deadline = Instant::now() + PATIENCE;
    while number("SELECT count(*) FROM promotion.errand WHERE ended_at IS NULL").await > 0 {
        assert!(Instant::now() < deadline, "nobody takes the errands up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answers = [told(&pool, "o1").await, told(&pool, "o2").await];
    assert_eq!(
        answers.each_ref().map(|told| told.iter().map(answer).collect::<Vec<_>>()),
        [vec![done("o1", Do, 1)], vec![done("o2", Undo, 1)]]
    );
    assert_eq!(answers[0][0].payload.coupon.as_ref().unwrap().order_id, "o1");
    let report = promotion::audit::run(&ground.servers(), None).await.unwrap();
    assert_eq!(report.violations, Vec::<String>::new());
    second.stop();
    tokio::task::spawn_blocking(move || living.shutdown_timeout(Duration::from_secs(10))).await.unwrap();
    pool.close().await;
    ground.end().await;
}
