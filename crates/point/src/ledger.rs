//! The ledger: what becomes of operations, in their order, and which rows that changes. Everything that it decides by is given to it,
//! and is locked meanwhile. An account that it was not given is empty, and an order has asked for nothing.

use std::collections::{HashMap, HashSet};

use kit::error::Invalid;
use time::OffsetDateTime;

use crate::account::{Account, BALANCE_MOST, Lot, Lots, OrderId, Posting, RequestId, UserId};
use crate::entry::{Entry, Kind};
use crate::operation::{Asked, Fact, Operation, Outcome, Remembered, Request};
use crate::order::{Answer, Cause, OrderUse, Step, Taken};
use crate::refusal::Refusal;

/// What operations are decided by: everything that they name, as it stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The instant, no earlier than the last of these was locked.
    pub now: OffsetDateTime,
    /// Every account that an operation names, or that an order took points from which it may give back.
    pub accounts: Vec<Account>,
    /// Every order that an operation names.
    pub uses: Vec<OrderUse>,
    /// Requests that were carried out or refused before.
    pub known: Vec<Remembered>,
}

/// Decides. What it has decided so far counts for what comes next.
#[derive(Debug)]
pub struct Ledger {
    now: OffsetDateTime,
    accounts: HashMap<UserId, Account>,
    uses: HashMap<OrderId, OrderUse>,
    known: HashMap<RequestId, Remembered>,
    /// How accounts stood at the beginning: their versions, and what of them was to expire.
    before: HashMap<UserId, (i64, Lots)>,
    entries: Vec<Entry>,
    answers: Vec<Answer>,
    uses_changed: HashSet<OrderId>,
    remembered: Vec<Remembered>,
}

/// What has changed, in no order except where one is named.
#[derive(Debug, Default)]
pub struct Changes {
    /// New entries, those of an account in their order.
    pub entries: Vec<Entry>,
    /// Accounts that have new entries, as they stand.
    pub accounts: Vec<Account>,
    /// Points that expire, as many as there are left of them.
    pub lots: Vec<(UserId, Lot)>,
    /// Instants at which no points of an account expire any more.
    pub lots_gone: Vec<(UserId, OffsetDateTime)>,
    /// Orders that have asked for something new.
    pub uses: Vec<OrderUse>,
    /// Requests that must not be carried out again.
    pub remembered: Vec<Remembered>,
    /// What others are told: answers in their order, then the balance of each account that has changed.
    pub facts: Vec<Fact>,
}

impl Ledger {
    /// Opens it. Whatever has expired is written off first.
    #[must_use]
    pub fn open(standing: Standing) -> Self {
        let Standing { now, accounts, uses, known } = standing;
        let before = accounts.iter().map(|a| (a.user_id.clone(), (a.version, a.lots.clone()))).collect();
        let mut ledger = Self {
            now,
            accounts: accounts.into_iter().map(|account| (account.user_id.clone(), account)).collect(),
            uses: uses.into_iter().map(|order| (order.order_id.clone(), order)).collect(),
            known: known.into_iter().map(|known| (known.request.request_id.clone(), known)).collect(),
            before,
            entries: Vec::new(),
            answers: Vec::new(),
            uses_changed: HashSet::new(),
            remembered: Vec::new(),
        };
        ledger.entries = ledger.accounts.values_mut().flat_map(|account| account.expire(now)).collect();
        ledger
    }

    /// Decides what becomes of an operation. A request that is known is answered as it was before.
    pub fn decide(&mut self, asked: &Asked) -> Outcome {
        let request = asked.request.as_ref();
        if let Some((known, request)) =
            request.and_then(|request| Some((self.known.get(&request.request_id)?, request)))
        {
            return known.again(request);
        }
        let outcome = self.carry_out(&asked.operation, request);
        if let Some((request, told)) = request.cloned().zip(outcome.told()) {
            let remembered = Remembered { request, told };
            self.known.insert(remembered.request.request_id.clone(), remembered.clone());
            self.remembered.push(remembered);
        }
        outcome
    }

    /// What has changed since it was opened.
    #[must_use]
    pub fn close(self) -> Changes {
        let mut changes = Changes {
            entries: self.entries,
            uses: self.uses.into_values().filter(|order| self.uses_changed.contains(&order.order_id)).collect(),
            remembered: self.remembered,
            facts: self.answers.into_iter().map(Fact::StepAnswered).collect(),
            ..Changes::default()
        };
        let empty = (0, Lots::default());
        for account in self.accounts.into_values() {
            let (version, lots) = self.before.get(&account.user_id).unwrap_or(&empty);
            if account.version == *version {
                continue;
            }
            let (changed, gone) = account.lots.since(lots);
            changes.lots.extend(changed.into_iter().map(|lot| (account.user_id.clone(), lot)));
            changes.lots_gone.extend(gone.into_iter().map(|at| (account.user_id.clone(), at)));
            changes.facts.push(Fact::BalanceChanged(account.standing(self.now)));
            changes.accounts.push(account);
        }
        changes
    }

    fn carry_out(&mut self, operation: &Operation, request: Option<&Request>) -> Outcome {
        let request_id = request.map(|request| request.request_id.clone());
        match operation {
            Operation::Earn { user_id, amount, expires_at, reason } => {
                let posting = Posting { request_id, reason: reason.clone(), ..Posting::new(Kind::Earn, *amount) };
                self.earn(user_id, posting, *expires_at)
            }
            Operation::Deduct { user_id, amount, order_id } => self.deduct(user_id, *amount, order_id, request_id),
            Operation::Refund { order_id } => self.refund(order_id, request_id),
            Operation::Step { order_id, user_id, amount, step: Step::Do } => self.step_do(order_id, user_id, *amount),
            Operation::Step { order_id, user_id, step: Step::Undo, .. } => self.step_undo(order_id, user_id),
            Operation::Expire { .. } => Outcome::Nothing,
        }
    }

    fn earn(&mut self, user_id: &UserId, posting: Posting, expires_at: Option<OffsetDateTime>) -> Outcome {
        let now = self.now;
        // Not where the request is read: the same request again is answered as before, also when this instant has passed.
        if expires_at.is_some_and(|at| at <= now) {
            return Outcome::Invalid(Invalid::new("expires_at", "is not in the future"));
        }
        let (account, points) = (self.account(user_id), posting.amount);
        let fits = account.balance.checked_add(points).is_some_and(|balance| balance <= BALANCE_MOST);
        let Some(entry) = fits.then(|| account.post(now, posting)).flatten() else {
            return Outcome::Invalid(too_much(BALANCE_MOST));
        };
        if let Some(expires_at) = expires_at {
            account.lots.add(Lot { expires_at, points });
        }
        self.posted(entry)
    }

    fn deduct(&mut self, user_id: &UserId, amount: i64, order_id: &OrderId, request: Option<RequestId>) -> Outcome {
        if self.order(order_id).is_done() {
            return Outcome::Refused(Refusal::OrderDone);
        }
        match self.take(user_id, amount, order_id, request) {
            Some(entry) => self.posted(entry),
            None => Outcome::Refused(Refusal::InsufficientPoints),
        }
    }

    fn refund(&mut self, order_id: &OrderId, request_id: Option<RequestId>) -> Outcome {
        let order = self.order(order_id);
        if !order.undone {
            return self.give_back(order_id, request_id);
        }
        match order.taken.as_ref().zip(order.refunded_nth) {
            Some((taken, nth)) => Outcome::Before(taken.user_id.clone(), nth),
            None => Outcome::Nothing,
        }
    }

    fn step_do(&mut self, order_id: &OrderId, user_id: &UserId, amount: i64) -> Outcome {
        let order = self.order(order_id);
        let done = match (order.answer, &order.taken) {
            (Some(answer), _) => answer,
            (None, _) if order.undone => Err(Cause::OrderUndone),
            // Somebody has asked in the order's name before it asked itself.
            (None, Some(taken)) if taken.user_id == *user_id && taken.amount == amount => Ok(()),
            (None, Some(_)) => Err(Cause::OrderDone),
            (None, None) if amount == 0 => Ok(()),
            (None, None) => match self.take(user_id, amount, order_id, None) {
                Some(entry) => {
                    self.entries.push(entry);
                    Ok(())
                }
                None => Err(Cause::InsufficientPoints),
            },
        };
        let order = self.order(order_id);
        let is_new = order.answer.replace(done).is_none();
        let taken = order.taken.as_ref().filter(|_| done.is_ok()).map_or(0, |taken| taken.amount);
        if is_new {
            self.uses_changed.insert(order_id.clone());
        }
        let (order_id, user_id) = (order_id.clone(), user_id.clone());
        self.answer(Answer { order_id, user_id, step: Step::Do, done, amount: taken })
    }

    fn step_undo(&mut self, order_id: &OrderId, user_id: &UserId) -> Outcome {
        if !self.order(order_id).undone
            && let failed @ Outcome::Invalid(_) = self.give_back(order_id, None)
        {
            return failed;
        }
        let amount = self.order(order_id).refunded();
        let (order_id, user_id) = (order_id.clone(), user_id.clone());
        self.answer(Answer { order_id, user_id, step: Step::Undo, done: Ok(()), amount })
    }

    /// Takes points for an order for which nothing was taken yet: those that expire first first, then those that never do. All of it
    /// or nothing.
    fn take(&mut self, user_id: &UserId, amount: i64, order_id: &OrderId, request: Option<RequestId>) -> Option<Entry> {
        let (now, account) = (self.now, self.account(user_id));
        let posting = Posting { request_id: request, ..Posting::of(order_id, Kind::Deduct, -amount) };
        let entry = account.post(now, posting)?;
        let taken = Taken { user_id: user_id.clone(), amount, nth: entry.nth, lots: account.lots.take(amount) };
        self.order(order_id).taken = Some(taken);
        self.uses_changed.insert(order_id.clone());
        Some(entry)
    }

    /// Undoes an order that was not undone before: gives back what was taken, as if it had never been. What would have expired
    /// meanwhile expires with it.
    fn give_back(&mut self, order_id: &OrderId, request_id: Option<RequestId>) -> Outcome {
        let (now, mut outcome) = (self.now, Outcome::Nothing);
        if let Some(Taken { user_id, amount, lots, .. }) = self.order(order_id).taken.clone() {
            let account = self.account(&user_id);
            let posting = Posting { request_id, ..Posting::of(order_id, Kind::Refund, amount) };
            let Some(entry) = account.post(now, posting) else { return Outcome::Invalid(too_much(i64::MAX)) };
            lots.into_iter().for_each(|lot| account.lots.add(lot));
            let expired = account.expire(now);
            self.order(order_id).refunded_nth = Some(entry.nth);
            outcome = self.posted(entry);
            self.entries.extend(expired);
        }
        self.order(order_id).undone = true;
        self.uses_changed.insert(order_id.clone());
        outcome
    }

    fn account(&mut self, user_id: &UserId) -> &mut Account {
        self.accounts.entry(user_id.clone()).or_insert_with(|| Account::new(user_id.clone()))
    }

    fn order(&mut self, order_id: &OrderId) -> &mut OrderUse {
        self.uses.entry(order_id.clone()).or_insert_with(|| OrderUse::new(order_id.clone()))
    }

    fn posted(&mut self, entry: Entry) -> Outcome {
        self.entries.push(entry.clone());
        Outcome::Done(entry)
    }

    fn answer(&mut self, answer: Answer) -> Outcome {
        self.answers.push(answer);
        Outcome::Nothing
    }
}

fn too_much(most: i64) -> Invalid {
    Invalid::new("amount", format!("is too much: the balance of an account would be above {most}"))
}

#[cfg(test)]
mod tests;
