//! The audit finds each defect that is planted into a copy of the data, and nothing else.

use fred::interfaces::{ClientLike as _, HashesInterface as _, KeysInterface as _, SortedSetsInterface as _};
use futures::StreamExt as _;
use kit::config::Servers;
use kit::redis::Redis;
use ranking::redis::Boards;
use sqlx::Connection as _;
use trial::ground::Ground;

use crate::calendar::{monday, noon, sunday};
use crate::scene::{Scene, boards_of, cancelled, connect, few_connections, order, paid, warm};
use crate::service::{Service, until};

/// Audits that run at once: each waits for a while before it believes what it sees.
const AT_ONCE: usize = 5;

/// A defect, and what must be said of it.
struct Defect {
    name: &'static str,
    plant: Plant,
    sentences: &'static [&'static str],
}

enum Plant {
    /// A statement in PostgreSQL.
    Sql(&'static str),
    /// Another score of an item on the board of Sunday, or none.
    Score(&'static str, Option<f64>),
    /// Another version of an item on the board of the week of Sunday.
    Version(&'static str, &'static str),
    /// Redis has lost the board of Sunday.
    Lost,
    /// Redis has another top of all time.
    Top(&'static str),
}

/// On Sunday: tea 3, cake 2; on Monday: tea 4; milk was sold on Sunday, and cancelled.
const DEFECTS: [Defect; 14] = [
    Defect { name: "none", plant: Plant::Sql("SELECT 1"), sentences: &[] },
    Defect {
        name: "sale-gone",
        plant: Plant::Sql("DELETE FROM ranking.sale WHERE order_id = 'o1'"),
        sentences: &["tea has 3 on ", "cake has 2 on "],
    },
    Defect {
        name: "sale-cancelled",
        plant: Plant::Sql("UPDATE ranking.sale SET cancelled = true WHERE order_id = 'o2'"),
        sentences: &["tea has 4 on "],
    },
    Defect {
        name: "sale-twice",
        plant: Plant::Sql(
            "UPDATE ranking.day_score SET score = score + 4 WHERE score = 4; UPDATE ranking.all_time SET score = 11 WHERE item_id = 'tea'",
        ),
        sentences: &["tea has 8 on ", "daily:", "weekly:", "the top of all time is tea 11, cake 2, and Redis says tea 7, cake 2"],
    },
    Defect {
        name: "all-time",
        plant: Plant::Sql("UPDATE ranking.all_time SET score = 1 WHERE item_id = 'cake'"),
        sentences: &["cake has 1 of all time, and its days say 2", "the top of all time is tea 7, cake 1, and Redis says tea 7, cake 2"],
    },
    Defect {
        name: "all-time-gone",
        plant: Plant::Sql("DELETE FROM ranking.all_time WHERE item_id = 'tea'"),
        sentences: &["tea has 0 of all time, and its days say 7", "the top of all time is cake 2, and Redis says tea 7, cake 2"],
    },
    Defect {
        name: "unapplied",
        plant: Plant::Sql("UPDATE ranking.day_score SET applied = 0 WHERE item_id = 'cake'"),
        sentences: &["1 scores or more have not been brought to their boards"],
    },
    Defect {
        name: "newer-row",
        plant: Plant::Sql("UPDATE ranking.day_score SET version = version + 1, applied = applied + 1 WHERE item_id = 'cake'"),
        sentences: &[": cake has 2 (change 2) in PostgreSQL, and 2 (change 1) in Redis", ": cake has 2 (change 2) in PostgreSQL, and 2 (change 1) in Redis"],
    },
    Defect {
        name: "parked",
        plant: Plant::Sql(
            "INSERT INTO ranking.parked (consumer, parking_key, topic, partition, \"offset\", headers, payload, cause, attempts)
             VALUES ('ranking', 'o9', 't', 0, 0, '{}', '', 'poison', 3)",
        ),
        sentences: &["1 events of the consumer ranking are parked, `booster dlq list` shows them (I10)"],
    },
    Defect {
        name: "other-score",
        plant: Plant::Score("tea", Some(-9.0)),
        sentences: &[": tea has 3 (change 1) in PostgreSQL, and 9 (change 1) in Redis"],
    },
    Defect {
        name: "score-gone",
        plant: Plant::Score("cake", None),
        sentences: &[": cake has 2 (change 1) in PostgreSQL, and 0 (change 1) in Redis"],
    },
    Defect {
        name: "phantom",
        plant: Plant::Score("ghost", Some(-1.0)),
        sentences: &[": ghost has 1 in Redis, and was never sold"],
    },
    Defect {
        name: "other-version",
        plant: Plant::Version("tea", "7"),
        sentences: &[": tea has 3 (change 1) in PostgreSQL, and 3 (change 7) in Redis"],
    },
    Defect {
        name: "lost",
        plant: Plant::Lost,
        sentences: &[": Redis does not have it, or not all of it, and 3 scores belong to it"],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_defect_is_found_and_nothing_else() {
    let ground = scene().await;
    let mut copies = Vec::new();
    let top = Defect {
        name: "other-top",
        plant: Plant::Top(r#"[["milk",1]]"#),
        sentences: &["the top of all time is tea 7, cake 2, and Redis says milk 1"],
    };
    for defect in DEFECTS.into_iter().chain([top]) {
        // One after the other: PostgreSQL copies a database only while nobody else does.
        copies.push((ground.copy(defect.name).await, defect));
    }
    let found = copies.into_iter().map(|(copy, defect)| find(&ground, copy, defect));
    futures::stream::iter(found).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    ground.end().await;
}

/// Sales with a history, at rest: nobody is connected to their database any more.
async fn scene() -> Ground {
    let scene = Scene::new("audit").await;
    let mut service = Service::start(&scene.servers, &[]).await;
    let gone = order("o3", noon(sunday()), &[("milk", 5, "v")]);
    scene
        .tell(&[
            paid(&order("o1", noon(sunday()), &[("tea", 3, "v"), ("cake", 2, "v")])),
            paid(&order("o2", noon(monday()), &[("tea", 4, "v")])),
            paid(&gone),
        ])
        .await;
    service.until_day(sunday(), &[("milk", 5), ("tea", 3), ("cake", 2)]).await;
    scene.settled().await;
    scene.tell(&[cancelled(&gone)]).await;
    service.until_all_time(&[("tea", 7), ("cake", 2)]).await;
    scene.settled().await;
    let report = scene.assert_clean().await;
    assert_eq!((report.sales, report.boards, report.scores), (3, 4, 8));
    service.stop().await;
    scene.close().await.unwrap()
}

async fn find(ground: &Ground, copy: Ground, defect: Defect) {
    let (from, to) = (boards(&ground.servers()).await, boards(&copy.servers()).await);
    let (redis, mut admin) = (connect(&copy.servers()).await, warm(&copy.admin_url()).await);
    copy_keys(&redis, &from, &to).await;
    let ([day_scores, day_versions], [_, week_versions]) =
        (to.keys(&boards_of(sunday())[0]), to.keys(&boards_of(sunday())[1]));
    match defect.plant {
        Plant::Sql(statements) => {
            sqlx::raw_sql(statements).execute(&mut admin).await.unwrap();
        }
        Plant::Score(item, Some(score)) => {
            let _: i64 = redis.zadd(day_scores, None, None, false, false, (score, item)).await.unwrap();
        }
        Plant::Score(item, None) => {
            let _: i64 = redis.zrem(day_scores, item).await.unwrap();
        }
        Plant::Version(item, version) => {
            let _: i64 = redis.hset(week_versions, (item, version)).await.unwrap();
        }
        Plant::Lost => {
            let _: i64 = redis.del(vec![day_scores, day_versions]).await.unwrap();
        }
        Plant::Top(entries) => {
            let _: i64 = redis.hset(to.top_key(), ("entries", entries)).await.unwrap();
        }
    }
    let servers = few_connections(copy.servers());
    let mut report = None;
    // So many databases are opened at once that PostgreSQL may not be reached in time: then nothing is said.
    until("something can be said", async || {
        report = ranking::audit::run(&servers).await.ok();
        report.is_some()
    })
    .await;
    let report = report.unwrap();
    let (name, found) = (defect.name, &report.violations);
    assert_eq!(found.len(), defect.sentences.len(), "{name}: {found:#?}");
    for sentence in defect.sentences {
        assert!(found.iter().any(|line| line.contains(sentence)), "{name}: {sentence:?} is not in {found:#?}");
    }
    redis.quit().await.unwrap();
    admin.close().await.unwrap();
    copy.end().await;
}

async fn boards(servers: &Servers) -> Boards {
    Boards::new(Redis::connect(servers, 1, ranking::LIBRARIES).await.unwrap(), servers)
}

/// The namespace stands outside the braces, so that both keys are in the same slot.
async fn copy_keys(redis: &fred::clients::Client, from: &Boards, to: &Boards) {
    for board in [boards_of(sunday()), boards_of(monday())].concat() {
        for (from, to) in from.keys(&board).into_iter().zip(to.keys(&board)) {
            let _: i64 = redis.copy(from, to, None, true).await.unwrap();
        }
    }
    let _: i64 = redis.copy(from.top_key(), to.top_key(), None, true).await.unwrap();
}
