//! All services: what each has in the servers, what it is told by flags, and what it consumes.

use bus::consumer::Consumer;
use bus::outbox::Outbox;
use kit::config::Servers;
use kit::error::Invalid;
use kit::postgres::Schema;
use kit::redis::Library;
use promotion::errand::Desk;
use sqlx::migrate::Migrator;

static BUS: Migrator = sqlx::migrate!("../../migrations/bus");
static PROMOTION: Migrator = sqlx::migrate!("../../migrations/promotion");
static ORDER: Migrator = sqlx::migrate!("../../migrations/order");
static POINT: Migrator = sqlx::migrate!("../../migrations/point");
static PAYMENT: Migrator = sqlx::migrate!("../../migrations/payment");
static RANKING: Migrator = sqlx::migrate!("../../migrations/ranking");

/// Every service, in the order in which `all` starts them.
pub(crate) static SERVICES: &[Service] = &[
    Service {
        schema: Schema { service: promotion::SERVICE, bus: &BUS, own: &PROMOTION },
        libraries: promotion::LIBRARIES,
        has_journals: true,
        has_topic: true,
    },
    Service::in_postgres(Schema { service: order::SERVICE, bus: &BUS, own: &ORDER }),
    Service::in_postgres(Schema { service: point::SERVICE, bus: &BUS, own: &POINT }),
    Service::in_postgres(Schema { service: payment::SERVICE, bus: &BUS, own: &PAYMENT }),
    Service {
        schema: Schema { service: ranking::SERVICE, bus: &BUS, own: &RANKING },
        libraries: ranking::LIBRARIES,
        has_journals: false,
        has_topic: false,
    },
];

/// What a service has in the servers.
pub(crate) struct Service {
    pub(crate) schema: Schema,
    /// The functions that it calls in Redis.
    pub(crate) libraries: &'static [Library],
    /// Whether it decides in Redis, and tells by journals: their tags are stamped, and have fences.
    pub(crate) has_journals: bool,
    /// Whether it tells anything.
    pub(crate) has_topic: bool,
}

impl Service {
    /// One that decides in PostgreSQL and tells by its outbox.
    const fn in_postgres(schema: Schema) -> Self {
        Self { schema, libraries: &[], has_journals: false, has_topic: true }
    }

    /// As its role and its schema are called.
    pub(crate) fn name(&self) -> &'static str {
        self.schema.service
    }
}

/// Whether PostgreSQL has what this version needs of `service`. A sentence to pass on where a newer version has been there.
pub(crate) async fn check(servers: &Servers, service: &str) -> anyhow::Result<Option<String>> {
    match SERVICES.iter().find(|known| known.name() == service) {
        Some(known) => kit::postgres::check(servers, &known.schema).await,
        None => Ok(None),
    }
}

/// What a process of all services is told besides what they share.
#[derive(Debug, clap::Args)]
pub(crate) struct Configs {
    #[command(flatten)]
    pub(crate) order: order::Config,
    #[command(flatten)]
    pub(crate) payment: payment::Config,
    #[command(flatten)]
    pub(crate) ranking: ranking::Config,
}

/// What a service is told by flags of its own: whether it can be worked with is known before anything is opened.
pub(crate) trait Checked {
    fn check(&self) -> Result<(), Invalid>;
}

impl Checked for () {
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

impl Checked for order::Config {
    fn check(&self) -> Result<(), Invalid> {
        self.check()
    }
}

impl Checked for payment::Config {
    fn check(&self) -> Result<(), Invalid> {
        self.check()
    }
}

impl Checked for ranking::Config {
    fn check(&self) -> Result<(), Invalid> {
        self.check()
    }
}

impl Checked for Configs {
    fn check(&self) -> Result<(), Invalid> {
        Checked::check(&self.order)?;
        Checked::check(&self.payment)?;
        Checked::check(&self.ranking)
    }
}

/// What all services consume, for whoever takes a span of a topic through it again. What they tell then goes into their outboxes, which
/// the processes of the services relay.
pub(crate) fn consumers(order: &order::Config, ranking: &ranking::Config) -> Vec<Consumer> {
    let outbox = Outbox::default();
    let all = [
        promotion::consumers(&Desk::default()),
        order::consumers(order, &outbox),
        point::consumers(&outbox),
        payment::consumers(&outbox),
        ranking::consumers(ranking),
    ];
    all.into_iter().flatten().collect()
}
