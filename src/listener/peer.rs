//! Who holds the other end of a loopback connection: the kernel's answer, not the caller's.

use std::net::SocketAddr;

/// Asks the kernel which user owns a local TCP socket (`sock_diag(7)` on Linux).
///
/// One per worker: it keeps its netlink socket open. Elsewhere than on Linux the answer is always "unknown".
pub(crate) struct Peers {
    #[cfg(target_os = "linux")]
    socket: netlink_sys::Socket,
}

impl Peers {
    /// Opens the netlink socket.
    ///
    /// # Errors
    /// If the kernel has no `inet_diag`.
    pub(crate) fn new() -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            let mut socket = netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_SOCK_DIAG)?;
            socket.bind_auto()?;
            socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
            Ok(Self { socket })
        }
        #[cfg(not(target_os = "linux"))]
        Ok(Self {})
    }

    /// Whether the socket at `peer` that is connected to `local` belongs to the user who runs this process.
    pub(crate) fn same_user(&self, peer: SocketAddr, local: SocketAddr) -> bool {
        self.owner(peer, local) == Some(rustix::process::geteuid().as_raw())
    }

    #[cfg(not(target_os = "linux"))]
    fn owner(&self, _peer: SocketAddr, _local: SocketAddr) -> Option<u32> {
        None
    }

    /// The user id of the socket that is bound to `peer` and connected to `local`; `None` = the kernel does not know it.
    #[cfg(target_os = "linux")]
    fn owner(&self, peer: SocketAddr, local: SocketAddr) -> Option<u32> {
        use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
        use netlink_packet_sock_diag::SockDiagMessage;
        use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
        use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};

        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST;
        let request = InetRequest {
            family: if peer.is_ipv4() { AF_INET } else { AF_INET6 },
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::all(),
            socket_id: SocketId {
                source_port: peer.port(),
                destination_port: local.port(),
                source_address: peer.ip(),
                destination_address: local.ip(),
                interface_id: 0,
                cookie: [0xff; 8],
            },
        };
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).ok()?;
        let mut answer = Vec::with_capacity(4096);
        self.socket.recv(&mut answer, 0).ok()?;
        let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).ok()?;
        let NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) = answer.payload else { return None };
        let found = &response.header.socket_id;
        let same = found.source_port == peer.port() && found.destination_port == local.port();
        (same && response.header.inode != 0).then_some(response.header.uid)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_owner_of_a_loopback_socket_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("address")).expect("a connection");
        let peers = Peers::new().expect("netlink");
        let (peer, local) = (stream.local_addr().expect("address"), stream.peer_addr().expect("address"));
        assert_eq!(peers.owner(peer, local), Some(rustix::process::geteuid().as_raw()));
        assert!(peers.same_user(peer, local));
        drop(stream);
        drop(listener);
    }

    #[test]
    fn a_socket_that_does_not_exist_has_no_owner() {
        let peers = Peers::new().expect("netlink");
        let address = |text: &str| text.parse().expect("an address");
        assert_eq!(peers.owner(address("127.0.0.1:1"), address("127.0.0.1:2")), None);
    }
}
