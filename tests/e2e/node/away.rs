//! The gateway is away: what is held serves for the grace, then nothing, and all is well when it is back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::house::{House, noted, until};
use crate::harness::{Caller, access, run};

/// Something in front of `gateway` that passes everything on while it is told to, and answers 401 itself otherwise.
async fn front(gateway: SocketAddr) -> (SocketAddr, Arc<watch::Sender<bool>>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let (address, open) = (socket.local_addr().expect("an address"), Arc::new(watch::Sender::new(true)));
    let told = open.subscribe();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = socket.accept().await {
            let mut told = told.clone();
            tokio::spawn(async move {
                if *told.borrow() {
                    let mut behind = TcpStream::connect(gateway).await.expect("the gateway");
                    tokio::select! {
                        _ended = copy_bidirectional(&mut stream, &mut behind) => {}
                        _closed = told.wait_for(|open| !open) => {}
                    }
                    return;
                }
                let mut head = [0; 4096];
                drop(stream.read(&mut head).await);
                let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<h1>Who?</h1";
                drop(stream.write_all(answer).await);
            });
        }
    });
    (address, open)
}

#[test]
fn what_stands_in_front_of_the_gateway_ends_no_copies() {
    run(async {
        let house = House::new(None).await;
        let (address, open) = front(house.address).await;
        let url = format!("http://{address}");
        let node = house.node_home().start_as_node(&[("NEXUS_GATEWAY_URL", &url), ("NEXUS_GATEWAY_KEY", &house.key)]);
        assert_eq!(until(&node, |_any| true).await.status, 200);
        open.send_replace(false);
        let note = noted(&node, |note| note["why"].to_string().contains("401")).await;
        assert!(note["connected"] == false && note["why"].to_string().contains("in front of the gateway"), "{note}");
        // A token that its service refuses can't be renewed now either, and that ends nothing.
        house.tokens.expire();
        assert_eq!(Caller::new(&node).get(&House::at("/dead")).await.status, 401, "the service's word stands");
        let (access, refresh) = house.tokens.connect_anew();
        house.register("renew", &access, &refresh);
        open.send_replace(true);
        assert_eq!(until(&node, |reply| reply.status == 200).await.status, 200);
        noted(&node, |note| note["connected"] == true).await;
    });
}

#[test]
fn a_killed_gateway_is_outlived_for_the_grace_and_found_again() {
    run(async {
        let mut house = House::new(None).await;
        let node = house.start(house.node_home().config("[gateway]\ngrace_secs = 4"));
        let patient = house.node();
        assert_eq!(until(&node, |_any| true).await.status, 200);
        assert_eq!(until(&patient, |_any| true).await.status, 200);
        house.gateway.kill().await;
        let note = noted(&node, |note| note["connected"] == false).await;
        assert!(note["why"].is_string() && note["heard_at"].is_u64() && note["connections"] == 1, "{note}");
        assert_eq!(until(&node, |_any| true).await.status, 200, "within the grace");
        let refused = until(&node, |reply| reply.status != 200).await;
        assert_eq!((refused.status, refused.refusal()), (503, Some("gateway")), "{}", refused.text());
        assert!(refused.text().contains("nexus status") && refused.headers.contains_key("retry-after"), "{}", refused.text());
        assert_eq!(until(&patient, |_any| true).await.status, 200, "its grace is an hour");

        let (access, refresh) = house.tokens.connect_anew();
        house.register("renew", &access, &refresh);
        house.gateway.respawn().await;
        assert_eq!(until(&node, |reply| reply.status == 200).await.status, 200);
        until(&patient, |reply| reply.status == 200).await;
        noted(&node, |note| note["connected"] == true).await;
    });
}

#[test]
fn a_token_that_dies_while_the_gateway_is_away_is_a_failed_renewal_and_no_more() {
    run(async {
        let mut house = House::new(None).await;
        let node = house.node();
        assert_eq!(until(&node, |_any| true).await.status, 200);
        house.gateway.kill().await;
        house.tokens.expire();
        assert_eq!(Caller::new(&node).get(&House::at("/dead")).await.status, 401, "the service's word stands");
        assert!(node.notes("/dead").await.contains(&"gateway_away".to_owned()));
        house.gateway.respawn().await;
        // The node's pause after a failed renewal would be seconds; a new copy ends it.
        let (access, refresh) = house.tokens.connect_anew();
        house.register("renew", &access, &refresh);
        until(&node, |reply| reply.status == 200).await;
        assert_eq!(house.tokens.uses(), 0);
    });
}

#[test]
fn a_node_that_never_heard_its_gateway_refuses_and_says_why() {
    run(async {
        let mut house = House::new(None).await;
        house.gateway.kill().await;
        let node = house.start(house.node_home().register("renew:own", &[("access_token", &access(1))]));
        assert_eq!(
            Caller::new(&node).get(&House::at("/own")).await.refusal(),
            Some("gateway"),
            "its own is not the default, and whether the gateway has one nobody knows"
        );
        let bare = house.node();
        let refused = until(&bare, |_any| true).await;
        assert_eq!((refused.status, refused.refusal()), (503, Some("gateway")), "{}", refused.text());
        house.gateway.respawn().await;
        until(&bare, |reply| reply.status == 200).await;
        until(&node, |reply| reply.status == 200).await;
    });
}
