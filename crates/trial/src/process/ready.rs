//! Whether a process is ready, by its own word.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Between two questions.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Whether `/readyz` is answered with 200. One request is no reason for an HTTP client.
pub(super) async fn is_ready(admin: SocketAddr) -> bool {
    let answer = tokio::time::timeout(ANSWER, ask(admin)).await;
    matches!(answer, Ok(Ok(status)) if status.starts_with("HTTP/1.") && status.contains(" 200 "))
}

async fn ask(admin: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /readyz HTTP/1.0\r\nHost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
