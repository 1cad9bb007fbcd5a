//! Lists of entries.

use proto::point::v1 as pb;

use crate::service::{Service, field};

fn asked(user_id: &str, page_size: i32, page_token: String) -> pb::ListEntriesRequest {
    pb::ListEntriesRequest { user_id: user_id.to_owned(), page_size, page_token }
}

#[tokio::test]
async fn pages_lead_through_the_whole_list_and_no_other() {
    let mut service = Service::start("list").await;
    for amount in 1..=7 {
        service.earn("ann", amount).await;
    }
    service.earn("bob", 1).await;
    let (mut amounts, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = service.client.list_entries(asked("ann", 3, token)).await.unwrap().into_inner();
        amounts.extend(page.entries.iter().map(|entry| entry.amount));
        (token, pages) = (page.next_page_token, pages + 1);
        if token.is_empty() {
            break;
        }
        // What comes meanwhile is newer than the page, and moves nothing.
        service.earn("ann", 100).await;
        assert_eq!(field(service.client.list_entries(asked("bob", 3, token.clone())).await), "page_token");
    }
    assert_eq!((amounts, pages), (vec![7, 6, 5, 4, 3, 2, 1], 3));
    let page = service.client.list_entries(asked("ann", 0, String::new())).await.unwrap().into_inner();
    assert_eq!((page.entries.len(), page.next_page_token.as_str()), (9, ""));
    let page = service.client.list_entries(asked("nobody", 0, String::new())).await.unwrap().into_inner();
    assert_eq!(page, pb::ListEntriesResponse::default());
    service.end_clean().await;
}
