//! A trace goes with the event: from the entry into the record, and from the record to its effect.

use crate::counting;
use crate::kafka::read;
use crate::place::{Place, tag};
use crate::running::Running;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn the_trace_of_an_entry_goes_with_its_events() {
    let place = Place::new("trace").await;
    let mut traced = counting::entry("traced", 1);
    traced.insert("trace".to_owned(), TRACE.to_owned());
    place.write(tag(2), traced).await;
    place.write(tag(2), counting::entry("untraced", 1)).await;
    let whole = Running::whole(&place, "count").await;
    place.until_effects("count", 2).await;
    let records = read(&place).await;
    let trace = |at: usize| records[at].headers.get("traceparent").map(String::as_str);
    assert_eq!((trace(0), trace(1)), (Some(TRACE), None));
    let traces: Vec<_> = place.effects("count").await.into_iter().map(|effect| effect.trace).collect();
    assert_eq!(traces, [Some(TRACE.to_owned()), None]);
    whole.stop().await;
    place.end().await;
}

#[tokio::test]
async fn a_record_says_what_the_event_is() {
    let place = Place::new("trace-headers").await;
    let entry = place.write(tag(2), counting::entry("ann,bob", 7)).await;
    let relay = Running::relay(&place).await;
    crate::place::until("both are relayed", async || read(&place).await.len() == 2).await;
    let records = read(&place).await;
    let bob = &records[1];
    assert_eq!(bob.id(), format!("promotion/2/1/{entry}/1"));
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("content-type", "application/protobuf"),
        ("ce_type", counting::COUNTED),
        ("ce_source", "promotion"),
        ("ce_subject", "bob"),
        ("ce_sequence", "7"),
        ("ce_partitionkey", "2"),
    ] {
        assert_eq!(bob.headers[name], value, "{name}");
    }
    assert_eq!((records[0].partition, bob.payload.as_slice()), (bob.partition, b"ann,bob 7".as_slice()));
    relay.stop().await;
    place.end().await;
}
