//! The dead letters of several services, as of one: in the order of the services, and within each in the order of parking.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::{BoxStream, Stream, try_unfold};
use kit::grpc::Deadline;
use serde::{Deserialize, Serialize};

use super::replay::{Order, Step};
use super::{Error, Repair};
use crate::dead_letter::{DeadLetter, Filter, Refusal};

/// Causes that are told with their counts, at most.
const CAUSES: usize = 100;

/// Names a dead letter among those of several services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The service that has it.
    pub service: String,
    /// Its number within the service.
    pub id: i64,
}

/// Some dead letters, each with the service that has it, and what most of them have in common.
#[derive(Debug)]
pub struct Listed {
    /// In order, without their payloads.
    pub letters: Vec<(&'static str, DeadLetter)>,
    /// The causes of all that were asked for, on whatever page, with how many there are of each; the most frequent first, at
    /// most a hundred.
    pub causes: Vec<(String, i64)>,
}

/// What is to be replayed of several services, and how.
#[derive(Debug, Clone)]
pub struct Orders {
    /// What is said of all of them; its ids count for nothing.
    pub filter: Filter,
    /// These, and no others; empty: not said.
    pub named: Vec<Name>,
    /// Only those that come after this one.
    pub after: Option<Name>,
    /// How many a second, at most; from 1 on.
    pub per_second: u32,
    /// Everything is done, and taken back.
    pub dry_run: bool,
    /// Who wants it.
    pub operator: String,
}

/// The dead letters of several services. A cheap handle.
#[derive(Clone)]
pub struct Repairs(Arc<[Repair]>);

impl Repairs {
    /// Those of all these services, in this order.
    #[must_use]
    pub fn new(repairs: Vec<Repair>) -> Self {
        Self(repairs.into())
    }

    /// The one of a service.
    ///
    /// # Errors
    /// No such service is in this process.
    pub fn of(&self, service: &str) -> Result<&Repair, Error> {
        Ok(self.0.iter().find(|repair| repair.service() == service).ok_or(Refusal::NotFound)?)
    }

    /// Dead letters after a place; of the filter consumer and cause count. Nothing where no service of this process has that place.
    ///
    /// # Errors
    /// PostgreSQL is away.
    pub async fn list(&self, filter: &Filter, after: Option<&Name>, limit: i64) -> Result<Option<Listed>, Error> {
        let Some(begin) = self.position(after) else { return Ok(None) };
        let (mut letters, mut causes) = (Vec::new(), HashMap::<String, i64>::new());
        for (index, repair) in self.0.iter().enumerate() {
            let listed = if index < begin {
                Vec::new()
            } else {
                let after = after.filter(|_| index == begin).map_or(0, |name| name.id);
                repair.page(filter, after, limit - i64::try_from(letters.len()).unwrap_or(limit)).await?
            };
            letters.extend(listed.into_iter().map(|letter| (repair.service(), letter)));
            for (cause, count) in repair.causes(filter).await? {
                *causes.entry(cause).or_default() += count;
            }
        }
        let mut causes: Vec<_> = causes.into_iter().collect();
        causes.sort_by(|(one, few), (other, many)| many.cmp(few).then(one.cmp(other)));
        causes.truncate(CAUSES);
        Ok(Some(Listed { letters, causes }))
    }

    /// Replays what the orders say, one service after the other, until it has seen everything or `end` comes: then, as after any
    /// failure, the same orders go on where they were.
    ///
    /// # Errors
    /// A dead letter is named of a service that is not in this process.
    pub fn replay(
        &self,
        orders: &Orders,
        end: Deadline,
    ) -> Result<impl Stream<Item = Result<(&'static str, Step), Error>> + Send + 'static, Error> {
        let queue = self.queue(orders)?;
        let run = Run { queue, end, now: None, done: 0, seen: 0, later: 0 };
        Ok(try_unfold(run, |mut run| async move { Ok(run.step().await?.map(|step| (step, run))) }))
    }

    /// What is to be done of each service, in their order.
    fn queue(&self, orders: &Orders) -> Result<VecDeque<(Repair, Order)>, Error> {
        let mut named: HashMap<&str, HashSet<i64>> = HashMap::new();
        for Name { service, id } in &orders.named {
            named.entry(self.of(service)?.service()).or_default().insert(*id);
        }
        let begin = self.position(orders.after.as_ref()).ok_or(Refusal::NotFound)?;
        let is_meant = |repair: &&Repair| orders.named.is_empty() || named.contains_key(repair.service());
        let order = |(index, repair): (usize, &Repair)| Order {
            after: orders.after.as_ref().filter(|_| index == begin).map_or(0, |name| name.id),
            filter: Filter { ids: named.get(repair.service()).cloned().unwrap_or_default(), ..orders.filter.clone() },
            per_second: orders.per_second,
            dry_run: orders.dry_run,
            operator: orders.operator.clone(),
        };
        let rest = self.0.iter().enumerate().skip(begin).filter(|(_, repair)| is_meant(repair));
        Ok(rest.map(|(index, repair)| (repair.clone(), order((index, repair)))).collect())
    }

    /// The service at which a list goes on, by its place among them.
    fn position(&self, after: Option<&Name>) -> Option<usize> {
        after.map_or(Some(0), |name| self.0.iter().position(|repair| repair.service() == name.service))
    }
}

/// A replay of several services.
struct Run {
    /// Services that have not begun.
    queue: VecDeque<(Repair, Order)>,
    end: Deadline,
    /// The one that is at it.
    now: Option<(&'static str, BoxStream<'static, Result<Step, Error>>)>,
    /// How many those before it have seen, and how many all of them have.
    done: i64,
    seen: i64,
    /// How many those after it have before them, as it began.
    later: i64,
}

impl Run {
    async fn step(&mut self) -> Result<Option<(&'static str, Step)>, Error> {
        loop {
            if let Some((service, steps)) = &mut self.now {
                if let Some(step) = steps.next().await {
                    let step = step?;
                    self.seen = self.done + step.done;
                    let total = self.done + step.total + self.later;
                    return Ok(Some((*service, Step { done: self.seen, total, ..step })));
                }
                (self.now, self.done) = (None, self.seen);
            }
            let Some((repair, order)) = self.queue.pop_front() else { return Ok(None) };
            self.later = 0;
            for (later, order) in &self.queue {
                self.later += later.left(order).await?;
            }
            self.now = Some((repair.service(), repair.replay(order, self.end).boxed()));
        }
    }
}
