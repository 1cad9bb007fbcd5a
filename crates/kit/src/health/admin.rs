//! The admin port: `/livez` (the process answers), `/readyz` (it can be asked, or why not), `/metrics`.

use super::Readiness;
use crate::telemetry;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::future::Future;
use tokio::net::TcpListener;

/// Answers until `told`. Liveness asks no dependency, or a lost Redis would restart every process that waits for it.
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    told: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let routes = Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(readiness);
    axum::serve(listener, routes).with_graceful_shutdown(told).await.context("the admin port")
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let (ready, text) = readiness.report();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text)
}

async fn metrics() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics_text())
}
