//! The wait until every order has ended, and the judging of it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use proto::order::v1::order_service_client::OrderServiceClient;
use proto::order::v1::{ListOrderStepsRequest, OrderStep};

use super::call::{ask, timed};
use super::deeds;
use super::journal::Entry;
use super::kept::Kept;
use super::progress::{Progress, Voice};
use super::shown::Faces;
use super::stored::{States, Stored};
use super::verdict::{Evidence, Rule, Verdict, Violation, judge};
use super::{Args, Setting};

/// What became of all orders.
pub(super) struct Settled {
    pub(super) kept: Kept,
    pub(super) verdict: Verdict,
    /// From the end of the wait until nothing was on its way any more; nothing where something was until the last look.
    pub(super) arrived: Option<Duration>,
    /// Deeds in the provider's log, if it was looked at.
    pub(super) deeds: Option<usize>,
}

/// Between two looks at how far orders have come.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// PostgreSQL may be away for a moment.
const LOOKS_MISSED: u32 = 20;
/// How long what is told of by events may take after the last order has ended, and between two looks.
const ARRIVAL: Duration = Duration::from_secs(60);
const ARRIVAL_EVERY: Duration = Duration::from_secs(2);
/// Unfinished orders of which the steps are told.
const STEPS_TOLD: usize = 20;

/// Waits until every order has ended, until `deadline` at most.
pub(super) async fn wait(
    stored: &Stored,
    faces: &Faces<'_>,
    voice: &Voice,
    deadline: Instant,
) -> anyhow::Result<States> {
    let mut progress: Option<Progress> = None;
    let mut missed = 0;
    loop {
        match stored.states(faces.scene).await {
            Ok(states) => {
                missed = 0;
                progress.get_or_insert_with(|| voice.begin("orders ended", states.whole)).reach(states.ended);
                if states.ended == states.whole || Instant::now() >= deadline {
                    return Ok(states);
                }
            }
            Err(why) if missed == LOOKS_MISSED => return Err(why.context("cannot see how far the orders have come")),
            Err(_) => missed += 1,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Reads what is kept and judges it; what is told of by events is waited for a little.
pub(super) async fn judged(
    stored: &Stored,
    faces: &Faces<'_>,
    setting: &Setting,
    args: &Args,
    entries: &[Entry],
) -> anyhow::Result<Settled> {
    let begun = Instant::now();
    loop {
        let looked = Instant::now();
        let kept = stored.kept(faces.scene).await?;
        let shown = faces.shown(&kept).await?;
        let deeds = setting.provider_log.as_deref().map(deeds::read).transpose()?;
        let mut verdict = judge(&Evidence {
            scene: faces.scene,
            coupons: faces.coupons,
            entries,
            kept: &kept,
            shown: &shown,
            deeds: deeds.as_deref(),
            is_alone: args.is_alone(),
            is_hurt: args.kills(),
        });
        let is_late = begun.elapsed() >= ARRIVAL;
        if verdict.is_exact() || !verdict.may_arrive() || is_late {
            let arrived = verdict.is_exact().then(|| looked.duration_since(begun));
            tell_steps(faces, &mut verdict).await;
            return Ok(Settled { kept, verdict, arrived, deeds: deeds.map(|deeds| deeds.len()) });
        }
        tokio::time::sleep(ARRIVAL_EVERY).await;
    }
}

/// Where an order has not ended, whoever looks for the cause begins with its steps.
async fn tell_steps(faces: &Faces<'_>, verdict: &mut Verdict) {
    let unfinished = verdict.violations.iter_mut().filter(|violation| violation.rule == Rule::Ends);
    for violation in unfinished.take(STEPS_TOLD) {
        match steps(faces, violation).await {
            Ok(steps) => violation.said.push_str(&steps),
            Err(why) => violation.said.push_str(&format!("; its steps are not shown: {why:#}")),
        }
    }
}

async fn steps(faces: &Faces<'_>, violation: &Violation) -> anyhow::Result<String> {
    let request = ListOrderStepsRequest { order_id: violation.about.clone() };
    let told = ask(&faces.doors.order, faces.patience, 0, async |channel| {
        OrderServiceClient::new(channel).list_order_steps(timed(request.clone(), faces.patience)).await
    });
    let steps = told.await.context("ListOrderSteps")?.steps;
    Ok(steps.iter().map(step).collect())
}

fn step(step: &OrderStep) -> String {
    let (of, kind, state) = (step.step().as_str_name(), step.kind().as_str_name(), step.state().as_str_name());
    let of = of.trim_start_matches("SAGA_STEP_");
    let (kind, state) = (kind.trim_start_matches("STEP_KIND_"), state.trim_start_matches("STEP_STATE_"));
    let cause = if step.cause.is_empty() { String::new() } else { format!(" ({})", step.cause) };
    format!("; {of} {kind} {state} after {} attempts{cause}", step.attempts)
}
