//! What an operator is told whose Redis cannot be worked with.

use fred::error::{Error as RedisError, ErrorKind};

/// One sentence: what is wrong with `who` ("the Redis node 127.0.0.1:6379"), and what to do.
pub(super) fn sentence(who: &str, error: &RedisError) -> String {
    let details = error.details();
    if details.contains("cluster support disabled") {
        format!(
            "{who} is no cluster: start its nodes with cluster-enabled yes and join them (redis-cli --cluster create), or \
             correct --redis-nodes"
        )
    } else if details.starts_with("NOAUTH") {
        format!("{who} wants a password: set --redis-password")
    } else if *error.kind() == ErrorKind::Auth {
        format!(
            "{who} refuses the password: correct --redis-password, and --redis-username if there is one ({details})"
        )
    } else if details.starts_with("NOPERM") {
        format!("{who} does not allow its user what Booster does: correct its ACL, or --redis-username ({details})")
    } else if *error.kind() == ErrorKind::IO {
        format!("{who} cannot be reached: start what does not run, or correct --redis-nodes ({})", words(details))
    } else {
        format!("{who} cannot be worked with: is it whole, and is every slot served? ({})", words(details))
    }
}

/// The client library tells an I/O error as code; what is between the quotes is for people.
fn words(details: &str) -> &str {
    let quoted = details.split('"').nth(1).filter(|_| details.ends_with(['}', '"']));
    quoted.unwrap_or(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_one_sentence_that_says_what_to_do() {
        let refused = "Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }";
        for (kind, details, sentence) in [
            (
                ErrorKind::IO,
                refused,
                "R cannot be reached: start what does not run, or correct --redis-nodes (Connection refused)",
            ),
            (ErrorKind::Auth, "NOAUTH Authentication required.", "R wants a password: set --redis-password"),
            (
                ErrorKind::Timeout,
                "Request timed out.",
                "R cannot be worked with: is it whole, and is every slot served? (Request timed out.)",
            ),
        ] {
            assert_eq!(super::sentence("R", &RedisError::new(kind, details)), sentence);
        }
        let one = RedisError::new(ErrorKind::Config, "ERR This instance has cluster support disabled");
        assert!(super::sentence("R", &one).starts_with("R is no cluster: start its nodes with cluster-enabled yes"));
        let wrong = RedisError::new(ErrorKind::Auth, "WRONGPASS invalid username-password pair");
        assert!(super::sentence("R", &wrong).starts_with("R refuses the password: correct --redis-password"));
    }
}
