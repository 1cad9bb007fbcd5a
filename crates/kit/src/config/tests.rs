use super::*;
use clap::{CommandFactory, FromArgMatches, Parser};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Whatever the environment of the test says, because it is that of real servers.
fn flags(words: &[&str]) -> Flags {
    let command = Flags::command().mut_args(|arg| arg.env(None));
    let parsed = command.try_get_matches_from(["test"].iter().chain(words));
    parsed.and_then(|matches| Flags::from_arg_matches(&matches)).unwrap_or_else(|e| panic!("{e}"))
}

fn refusal(words: &[&str]) -> String {
    let flags = flags(words);
    flags.servers.check().and(flags.process.check()).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_the_local_servers_and_can_be_worked_with() {
    let flags = flags(&[]);
    flags.servers.check().unwrap();
    flags.process.check().unwrap();
    assert_eq!(flags.servers.redis_nodes, ["127.0.0.1:17001", "127.0.0.1:17002", "127.0.0.1:17003"]);
    assert_eq!(flags.servers.durability, Durability::Fsync);
    assert_eq!(flags.process.drain.grace, Duration::from_secs(20));
    assert!(!flags.process.listen.insecure);
}

#[test]
fn a_service_has_its_own_role_in_postgres() {
    let servers = flags(&[]).servers;
    assert_eq!(servers.postgres_url_for("promotion").expose(), "postgres://promotion@127.0.0.1:15432/booster");
    assert!(!format!("{servers:?}").contains("15432"), "the address can hold a password");
}

#[test]
fn a_namespace_stands_before_names() {
    assert_eq!(flags(&[]).servers.prefixed("booster.order.v1"), "booster.order.v1");
    assert_eq!(flags(&["--namespace", "t1"]).servers.prefixed("booster.order.v1"), "t1.booster.order.v1");
}

#[test]
fn what_cannot_be_worked_with_is_one_sentence_that_names_the_flag() {
    for (words, sentence) in [
        (&["--namespace", "a{b}"][..], "--namespace is \"a{b}\"; it is at most 32 of a-z, 0-9, _ and -"),
        (&["--redis-nodes", "here,127.0.0.1:1"], "--redis-nodes has \"here\", which is not host:port"),
        (&["--kafka-brokers", "127.0.0.1"], "--kafka-brokers has \"127.0.0.1\", which is not host:port"),
        (&["--postgres-url", "mysql://u:pw@h/d"], "--postgres-url does not begin with postgres://"),
        (&["--postgres-connections", "0"], "--postgres-connections is 0"),
        (&["--trace-ratio", "2"], "--trace-ratio is 2; it is from 0 to 1"),
        (&["--otlp-endpoint", "localhost:4317"], "--otlp-endpoint is \"localhost:4317\"; it begins with http://"),
    ] {
        assert_eq!(refusal(words), sentence);
    }
    assert!(refusal(&["--log-filter", "info,=,"]).starts_with("--log-filter is \"info,=,\": "));
    assert!(refusal(&["--namespace", &"x".repeat(33)]).starts_with("--namespace"));
}

#[test]
fn other_hosts_are_let_in_only_when_told_so() {
    let said = refusal(&["--grpc-addr", "0.0.0.0:1"]);
    assert!(said.starts_with("--grpc-addr is 0.0.0.0:1, which other hosts can reach"), "{said}");
    assert!(refusal(&["--admin-addr", "[::]:1"]).starts_with("--admin-addr"));
    flags(&["--grpc-addr", "0.0.0.0:1", "--insecure"]).process.check().unwrap();
    flags(&["--grpc-addr", "[::1]:1"]).process.check().unwrap();
}

#[test]
fn a_secret_comes_from_a_file_also_by_a_flag() {
    let path = std::env::temp_dir().join(format!("kit-flag-{}", std::process::id()));
    std::fs::write(&path, "hunter4\n").unwrap();
    let flags = flags(&["--redis-password", &format!("file:{}", path.display())]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(flags.servers.redis_password.unwrap().expose(), "hunter4");
}
