//! The service as a process of its own, which can be killed and paused: this test program, started once more for the one test
//! that is no test but the service.

use std::process::ExitCode;
use std::time::Duration;

use bus::outbox::Outbox;
use clap::Parser as _;
use kit::boot::{Process, Stage};
use kit::config::{ProcessArgs, Servers};
use kit::postgres::Pool;
use rand::RngExt as _;
use trial::process::Program;

use crate::counting::{self, Counting, SERVICE};
use crate::place::Place;
use crate::running::{Differently, consume, relay_outbox};

/// What the process does: a variable of its environment.
const ROLES: &str = "BOOSTER_TEST_ROLES";
/// Those who write in each process, and what they write about: few, so that they get in each other's way.
const WRITERS: usize = 4;
const SUBJECTS: u32 = 6;
/// Pause of a writer after each transaction.
const PAUSE: Duration = Duration::from_millis(5);

/// The process, with any of the roles `write`, `relay`, `consume`, `echo`.
pub fn program(place: &Place, roles: &str) -> Program {
    let this = std::env::current_exe().unwrap();
    Program::new("bus-outbox", this)
        .args(["outbox::child::serve", "--exact", "--ignored", "--nocapture"])
        .envs(place.ground.env())
        .envs([(ROLES.to_owned(), roles.to_owned())])
}

#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    process: ProcessArgs,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other tests start it, as a process of its own"]
async fn serve() {
    let Ok(roles) = std::env::var(ROLES) else { return };
    let has = |role| roles.split(' ').any(|given| given == role);
    let Args { servers, process } = Args::parse_from(["service"]);
    let (process, outbox) = (Process::start(&process, &[]).await.unwrap(), Outbox::default());
    if has("relay") {
        relay_outbox(&process, servers.clone(), outbox.clone(), Differently::default()).await;
    }
    if has("consume") {
        let echo = has("echo").then(|| outbox.clone());
        consume(&process, servers.clone(), Counting { echo, ..Counting::new("count") }).await;
    }
    if has("write") {
        let pool = kit::postgres::connect(&servers, SERVICE).await.unwrap();
        for _ in 0..WRITERS {
            let (pool, outbox) = (pool.clone(), outbox.clone());
            process.spawn(Stage::Work, "writer", |told| async move {
                while !told.is_cancelled() {
                    write(&pool, &outbox).await;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(())
            });
        }
    }
    assert_eq!(process.run_to_end().await, ExitCode::SUCCESS);
}

/// One transaction that changes one counter or two, of which one in eight is rolled back. Nothing of it is ever lost: a counter
/// that is committed says how many events there are.
async fn write(pool: &Pool, outbox: &Outbox) {
    let (one, other) = (rand::rng().random_range(0..SUBJECTS), rand::rng().random_range(0..SUBJECTS));
    let Ok(mut change) = outbox.begin::<()>(pool).await else { return };
    let mut events = Vec::new();
    // In one order, so that nobody waits for a lock that waits for him.
    for number in [one, other].into_iter().min().into_iter().chain((one != other).then_some(one.max(other))) {
        let subject = format!("subject-{number}");
        let version = counting::raise(&mut change, &subject).await;
        events.push(counting::told(&subject, version));
    }
    if rand::rng().random_ratio(7, 8) {
        // Where nobody knows whether it was committed, the counter does.
        let _ = change.commit(&events).await;
    }
}
