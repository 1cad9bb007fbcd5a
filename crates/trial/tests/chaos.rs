//! The proxy that does harm, between a client and a server that says back what it hears. One server is PostgreSQL.
#![expect(clippy::unwrap_used, reason = "what fails in a test fails the test")]

#[path = "chaos/echo.rs"]
mod echo;

use std::io;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trial::chaos::Proxy;
use trial::ground::Ground;

use echo::{Echo, Event};

/// Whatever must come has come by then.
const LONG: Duration = Duration::from_secs(20);
/// Whatever must not come would have come by then, nearly always: a test that is too slow to see it fails to fail.
const SHORT: Duration = Duration::from_millis(200);
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(3600);

async fn start() -> (Echo, Proxy) {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.addr()).await;
    (echo, proxy)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.addr()).await.unwrap()
}

async fn say(stream: &mut TcpStream, words: &str) {
    stream.write_all(words.as_bytes()).await.unwrap();
}

/// The next `length` bytes.
async fn hear(stream: &mut TcpStream, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    tokio::time::timeout(LONG, stream.read_exact(&mut bytes)).await.expect("an answer or an end")?;
    Ok(String::from_utf8(bytes).unwrap())
}

async fn assert_echoes(stream: &mut TcpStream, words: &str) {
    say(stream, words).await;
    assert_eq!(hear(stream, words.len()).await.unwrap(), words);
}

async fn assert_silent(stream: &mut TcpStream) {
    let heard = tokio::time::timeout(SHORT, stream.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// The stream has ended with a reset, and with nothing before it.
async fn assert_reset(stream: &mut TcpStream) {
    let heard = hear(stream, 1).await.expect_err("a reset");
    assert_eq!(heard.kind(), io::ErrorKind::ConnectionReset, "{heard}");
}

/// Whoever comes now is reset; he may learn that before he thinks that he is connected.
async fn assert_turned_away(proxy: &Proxy) {
    let come = async { hear(&mut TcpStream::connect(proxy.addr()).await?, 1).await };
    let heard = come.await.expect_err("a reset");
    assert_eq!(heard.kind(), io::ErrorKind::ConnectionReset, "{heard}");
}

#[tokio::test]
async fn forwards_both_ways_and_the_end_of_one() {
    let (mut echo, proxy) = start().await;
    let mut client = connect(&proxy).await;
    assert_echoes(&mut client, "hello").await;
    assert_eq!(echo.next().await, Event::Heard("hello".to_owned()));
    // The server learns that no more comes, and what it says after that still arrives.
    client.shutdown().await.unwrap();
    assert_eq!(echo.next().await, Event::Ended);
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");
}

#[tokio::test]
async fn a_cut_resets_both_sides_and_whoever_comes_until_it_is_healed() {
    let (mut echo, proxy) = start().await;
    let mut client = connect(&proxy).await;
    assert_echoes(&mut client, "hello").await;
    assert_eq!(echo.next().await, Event::Heard("hello".to_owned()));
    proxy.cut();
    assert_reset(&mut client).await;
    assert_eq!(echo.next().await, Event::Gone);
    assert_turned_away(&proxy).await;
    proxy.heal();
    assert_echoes(&mut connect(&proxy).await, "again").await;
}

#[tokio::test]
async fn a_cut_is_not_missed_however_short_it_is() {
    let (_echo, proxy) = start().await;
    let mut client = connect(&proxy).await;
    assert_echoes(&mut client, "hello").await;
    proxy.cut();
    proxy.heal();
    assert_reset(&mut client).await;
}

#[tokio::test]
async fn a_delay_holds_back_each_direction_and_keeps_the_order() {
    let (_echo, proxy) = start().await;
    let mut client = connect(&proxy).await;
    proxy.delay(SHORT);
    let begun = Instant::now();
    assert_echoes(&mut client, "hello").await;
    assert!(begun.elapsed() >= SHORT * 2, "{:?}", begun.elapsed());
    for word in ["one ", "two ", "three ", "four"] {
        say(&mut client, word).await;
        tokio::time::sleep(SHORT / 8).await;
    }
    assert_eq!(hear(&mut client, 18).await.unwrap(), "one two three four");
}

#[tokio::test]
async fn what_is_held_back_is_bounded_and_goes_on_at_once_when_it_is_healed() {
    let (mut echo, proxy) = start().await;
    let mut client = connect(&proxy).await;
    proxy.delay(FOR_EVER);
    let (mut hear, mut say) = client.split();
    // Far more than this proxy and the kernel hold.
    let chunk = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(SHORT, say.write(&chunk)).await {
        sent += written.unwrap();
        assert!(sent < 64 << 20, "nothing holds the sender back");
    }
    proxy.heal();
    let mut heard = 0;
    let mut buffer = vec![0; 1 << 20];
    while heard < sent {
        heard += tokio::time::timeout(LONG, hear.read(&mut buffer)).await.unwrap().unwrap();
    }
    assert_eq!(heard, sent);
    assert!(matches!(echo.next().await, Event::Heard(_)));
}

#[tokio::test]
async fn half_open_swallows_everything_and_nobody_is_told() {
    let (mut echo, proxy) = start().await;
    let (mut idle, mut client) = (connect(&proxy).await, connect(&proxy).await);
    assert_echoes(&mut idle, "idle").await;
    assert_echoes(&mut client, "hello").await;
    assert_eq!(echo.next().await, Event::Heard("idle".to_owned()));
    assert_eq!(echo.next().await, Event::Heard("hello".to_owned()));
    proxy.half_open();
    let mut late = connect(&proxy).await;
    for stream in [&mut client, &mut late] {
        say(stream, "is anybody there?").await;
        stream.shutdown().await.unwrap();
        assert_silent(stream).await;
    }
    assert!(echo.is_silent(), "the server has heard something, or that its client has left");
    // Whoever has lost something must not go on behind the gap; whoever has not may.
    proxy.heal();
    assert_reset(&mut client).await;
    assert_reset(&mut late).await;
    assert_eq!(echo.next().await, Event::Gone);
    assert_echoes(&mut idle, "still").await;
}

#[tokio::test]
async fn one_way_lets_requests_arrive_and_drops_the_answers() {
    let (mut echo, proxy) = start().await;
    let mut client = connect(&proxy).await;
    assert_echoes(&mut client, "hello").await;
    assert_eq!(echo.next().await, Event::Heard("hello".to_owned()));
    proxy.one_way();
    let mut late = connect(&proxy).await;
    for (stream, words) in [(&mut client, "buy one"), (&mut late, "buy two")] {
        say(stream, words).await;
        assert_eq!(echo.next().await, Event::Heard(words.to_owned()));
        assert_silent(stream).await;
    }
    proxy.heal();
    assert_reset(&mut client).await;
    assert_reset(&mut late).await;
    assert_echoes(&mut connect(&proxy).await, "again").await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_reset() {
    let (echo, proxy) = start().await;
    echo.stop().await;
    assert_turned_away(&proxy).await;
}

#[tokio::test]
async fn ends_with_all_its_connections_when_it_is_dropped() {
    let (_echo, proxy) = start().await;
    let mut client = connect(&proxy).await;
    assert_echoes(&mut client, "hello").await;
    drop(proxy);
    assert!(hear(&mut client, 1).await.is_err());
}

#[tokio::test]
async fn postgres_is_reached_through_a_url() {
    async fn ask(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
        sqlx::query_scalar("SELECT 1").fetch_one(connection).await
    }
    let ground = Ground::new("chaos").await;
    let url = ground.admin_url();
    let (proxy, through) = Proxy::in_front_of(url.expose()).await;
    let options = PgConnectOptions::from_str(&through).unwrap();
    assert_eq!((options.get_host(), options.get_port()), ("127.0.0.1", proxy.addr().port()));
    let mut connection = options.connect().await.unwrap();
    assert_eq!(ask(&mut connection).await.unwrap(), 1);
    proxy.cut();
    ask(&mut connection).await.unwrap_err();
    options.connect().await.unwrap_err();
    proxy.heal();
    let mut connection = options.connect().await.unwrap();
    assert_eq!(ask(&mut connection).await.unwrap(), 1);
    connection.close().await.unwrap();
    ground.end().await;
}
