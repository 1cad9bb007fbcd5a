//! The audit finds each defect that is planted into a copy of the data, and nothing else.

use std::time::Duration;

use bus::arrival;
use bus::journal::{Keys, Tag};
use fred::interfaces::{HashesInterface as _, KeysInterface as _};
use futures::future::join_all;
use kit::config::Servers;
use proto::promotion::v1 as pb;
use sqlx::Connection as _;
use trial::ground::Ground;

use crate::road::connect;
use crate::service::Service;

/// What one deal keeps in Redis, besides fence and journal.
const ROOMS: [&str; 4] = ["deal:lunch", "held:lunch", "seats:lunch", "used:lunch"];

/// A defect, and the sentences that must be said of it, without the deal's name in front.
struct Defect {
    name: &'static str,
    plant: Plant,
    sentences: &'static [&'static str],
}

enum Plant {
    /// A statement in PostgreSQL.
    Sql(&'static str),
    /// A field of a hash in Redis: its room, its name, and its value or nothing.
    Hash(&'static str, &'static str, Option<&'static str>),
}

/// ann has rank 1; bob gave rank 2 back; cid has rank 3 on bob's seat; dan has rank 4, used by order o1. The stock is 5.
const DEFECTS: [Defect; 17] = [
    Defect { name: "none", plant: Plant::Sql("SELECT 1"), sentences: &[] },
    Defect {
        name: "row-gone",
        plant: Plant::Sql("DELETE FROM promotion.coupon WHERE rank = 4"),
        sentences: &["rank 4 is not in PostgreSQL (I2, I3)"],
    },
    Defect {
        name: "other-owner",
        plant: Plant::Sql("UPDATE promotion.coupon SET user_id = 'eve' WHERE rank = 1"),
        sentences: &["rank 1 is ann's in Redis and eve's in PostgreSQL (I3)", "rank 1 of eve is in PostgreSQL and not in Redis (I4)"],
    },
    Defect {
        name: "other-seat",
        plant: Plant::Sql("UPDATE promotion.coupon SET seat = 4 WHERE rank = 1"),
        sentences: &["ann has rank 1 and seat 4 in PostgreSQL, and 1 and 1 in Redis (I3)"],
    },
    Defect {
        name: "seat-beyond",
        plant: Plant::Sql("UPDATE promotion.coupon SET seat = 6 WHERE rank = 1"),
        sentences: &["ann has rank 1 and seat 6 in PostgreSQL, and 1 and 1 in Redis (I3)", "rank 1 sits on seat 6 of 5 (I1)"],
    },
    Defect {
        name: "seat-twice",
        plant: Plant::Sql(
            "DROP INDEX promotion.coupon_live_seat; UPDATE promotion.coupon SET state = 'ISSUED', version = 1 WHERE rank = 2",
        ),
        sentences: &["rank 2 of bob is ISSUED in PostgreSQL (change 1), and RETURNED in Redis (change 2) (I10)", "ranks 2 and 3 sit on seat 2 (I1)"],
    },
    Defect {
        name: "made-up-return",
        plant: Plant::Sql("UPDATE promotion.coupon SET state = 'RETURNED', version = 2 WHERE rank = 1"),
        sentences: &["rank 1 of ann is RETURNED in PostgreSQL (change 2), and ISSUED in Redis (change 1) (I10)"],
    },
    Defect {
        name: "other-order",
        plant: Plant::Sql("UPDATE promotion.coupon SET order_id = 'o2' WHERE rank = 4"),
        sentences: &["rank 4 of dan is REDEEMED by o2 in PostgreSQL (change 2), and REDEEMED by o1 in Redis (change 2) (I10)"],
    },
    Defect {
        name: "use-lost",
        plant: Plant::Sql("UPDATE promotion.coupon SET state = 'ISSUED', version = 1, order_id = NULL WHERE rank = 4"),
        sentences: &["rank 4 of dan is ISSUED in PostgreSQL (change 1), and REDEEMED by o1 in Redis (change 2) (I10)"],
    },
    Defect {
        name: "made-up-archive",
        plant: Plant::Sql("UPDATE promotion.deal SET archived_at = now()"),
        sentences: &["it is archived in PostgreSQL, and still in Redis", "it is archived, and nobody knows how it stood"],
    },
    Defect {
        name: "return-lost",
        plant: Plant::Sql("UPDATE promotion.coupon SET inferred = true, version = 1 WHERE rank = 2"),
        sentences: &["rank 2 of bob lost its seat, and its return never arrived (I10)"],
    },
    Defect {
        name: "phantom",
        plant: Plant::Sql(
            "INSERT INTO promotion.coupon (deal_id, rank, user_id, seat, venue_id, prize, state, version, claimed_at)
             SELECT deal_id, 5, 'eve', 5, venue_id, prize, state, version, claimed_at FROM promotion.coupon WHERE rank = 1",
        ),
        sentences: &["rank 5 of eve is in PostgreSQL, and was never issued (I4)"],
    },
    Defect {
        name: "parked",
        plant: Plant::Sql(
            "INSERT INTO promotion.parked (consumer, parking_key, topic, partition, \"offset\", headers, payload, cause, attempts)
             VALUES ('promotion', 'lunch-9', 't', 0, 0, '{}', '', 'poison', 3)",
        ),
        sentences: &["1 events of the consumer promotion are parked, `booster dlq list` shows them (I10)"],
    },
    Defect {
        name: "behind",
        plant: Plant::Sql("UPDATE promotion.journal_progress SET entry_ms = entry_ms - 1000"),
        sentences: &["only "],
    },
    Defect {
        name: "holder-gone",
        plant: Plant::Hash("held:lunch", "ann", None),
        sentences: &["Redis counts 4 issued and 3 alive, and holds 3 and 2 (I2)", "rank 1 of ann is in PostgreSQL and not in Redis (I4)"],
    },
    Defect {
        name: "oversold",
        plant: Plant::Hash("deal:lunch", "stock", Some("2")),
        sentences: &["3 coupons are alive and the stock is 2 (I1)", "rank 4 sits on seat 3 of 2 (I1)"],
    },
    Defect {
        name: "fence",
        plant: Plant::Hash("fence", "epoch", Some("2")),
        sentences: &["its Redis node is not allowed: frozen"],
    },
];

#[tokio::test]
async fn each_planted_defect_is_found_and_nothing_else() {
    let ground = scene().await;
    let mut copies = Vec::new();
    for defect in DEFECTS {
        // One after the other: PostgreSQL copies a database only while nobody else does.
        copies.push((ground.copy(defect.name).await, defect));
    }
    join_all(copies.into_iter().map(|(copy, defect)| find(&ground, copy, defect))).await;
    ground.end().await;
}

/// A deal with a history, at rest: nobody is connected to its database any more.
async fn scene() -> Ground {
    let mut service = Service::start("audit").await;
    service.deal("lunch", 5).await;
    for user in ["ann", "bob"] {
        service.claim("lunch", user).await.unwrap();
    }
    let asked = pb::ReturnCouponRequest { coupon_id: "lunch-2".to_owned(), user_id: "bob".to_owned() };
    service.client.return_coupon(asked).await.unwrap();
    for user in ["cid", "dan"] {
        service.claim("lunch", user).await.unwrap();
    }
    service.redeem("lunch-4", "dan", "o1").await.unwrap();
    service.arrived("lunch", 4).await;
    let servers = service.ground.servers();
    let redis = kit::redis::Redis::connect(&servers, 1, promotion::LIBRARIES).await.unwrap();
    let pool = kit::postgres::connect(&servers, promotion::SERVICE).await.unwrap();
    let keys = Keys::new(&servers, promotion::SERVICE);
    arrival::wait(&redis, &pool, &keys, Tag::of("lunch"), Duration::from_secs(10)).await.unwrap();
    pool.close().await;
    service.stop().await
}

async fn find(ground: &Ground, copy: Ground, defect: Defect) {
    copy_keys(&ground.servers(), &copy.servers()).await;
    match defect.plant {
        Plant::Sql(statements) => {
            let mut admin = sqlx::PgConnection::connect(copy.admin_url().expose()).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut admin).await.unwrap();
            admin.close().await.unwrap();
        }
        Plant::Hash(room, field, value) => {
            let key = Keys::new(&copy.servers(), promotion::SERVICE).key(Tag::of("lunch"), room);
            let redis = connect(&copy.servers()).await;
            let _: i64 = match value {
                Some(value) => redis.hset(key, (field, value)).await.unwrap(),
                None => redis.hdel(key, field).await.unwrap(),
            };
        }
    }
    let report = promotion::audit::run(&copy.servers(), None).await.unwrap();
    let (name, found) = (defect.name, &report.violations);
    assert_eq!(found.len(), defect.sentences.len(), "{name}: {found:#?}");
    for sentence in defect.sentences {
        assert!(found.iter().any(|line| line.contains(sentence)), "{name}: {sentence:?} is not in {found:#?}");
    }
    copy.end().await;
}

/// The namespace stands outside the braces, so that both keys are in the same slot.
async fn copy_keys(from: &Servers, to: &Servers) {
    let redis = connect(from).await;
    let (from, to) = (Keys::new(from, promotion::SERVICE), Keys::new(to, promotion::SERVICE));
    let tag = Tag::of("lunch");
    for room in ROOMS.iter().chain(&["fence", "journal"]) {
        let _: i64 = redis.copy(from.key(tag, room), to.key(tag, room), None, true).await.unwrap();
    }
}
