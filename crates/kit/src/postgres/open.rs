//! Opening a connection, and what an operator is told who cannot.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

/// How long PostgreSQL may take to let one connection in.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server is waited for that refuses connections because it is starting, or has none left; and the pause between.
const STARTING: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// SQLSTATE of a role that does not exist, or whose password is another.
const WRONG_PASSWORD: [&str; 2] = ["28P01", "28000"];
/// SQLSTATE of a database that does not exist.
const NO_DATABASE: &str = "3D000";
/// SQLSTATE of a server that has no connection left, and of one that is starting.
const NOT_NOW: [&str; 2] = ["53300", "57P03"];

/// Opens one connection. `flag` is where the options come from.
///
/// # Errors
/// One sentence: what is wrong, and what to do.
pub(super) async fn open(options: &PgConnectOptions, flag: &'static str) -> anyhow::Result<PgConnection> {
    let begun = Instant::now();
    loop {
        let error = match tokio::time::timeout(OPEN_TIMEOUT, options.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
        };
        if !is_starting(&error) || begun.elapsed() > STARTING {
            return Err(anyhow!("PostgreSQL at {} {}", place(options), remedy(&error, flag)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Where, and as whom.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    format!("{}:{}/{database} as {}", options.get_host(), options.get_port(), options.get_username())
}

/// What PostgreSQL said, once: the text of an error of sqlx has that of its cause in it already.
pub(super) fn words(error: &sqlx::Error) -> String {
    if let sqlx::Error::Io(error) = error {
        return error.to_string();
    }
    error.as_database_error().map_or_else(|| error.to_string(), |refused| refused.message().to_owned())
}

/// What is wrong and what to do, as the rest of a sentence that begins with the server.
fn remedy(error: &sqlx::Error, flag: &str) -> String {
    let said = words(error);
    let code = error.as_database_error().and_then(|refused| refused.code()).unwrap_or_default();
    if WRONG_PASSWORD.contains(&code.as_ref()) {
        // The role of a service is made by `booster migrate`, the admin's is not.
        let or_make = if flag == super::migrate::ADMIN_FLAG { "" } else { ", or let `booster migrate` make the role" };
        format!("refuses the role or its password: correct {flag}{or_make} ({said})")
    } else if code == NO_DATABASE {
        format!("has no such database: create it, or correct {flag} ({said})")
    } else if matches!(error, sqlx::Error::Io(_)) {
        format!("does not answer: start it, or correct {flag} ({said})")
    } else {
        format!("lets nobody in now: its log says why ({said})")
    }
}

fn is_starting(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Io(error) = error {
        return error.kind() == std::io::ErrorKind::ConnectionRefused;
    }
    let code = error.as_database_error().and_then(|refused| refused.code());
    code.is_some_and(|code| NOT_NOW.contains(&code.as_ref()))
}
