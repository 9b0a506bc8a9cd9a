//! This machine's hardware address, as libuuid (and so Python's `uuid.getnode()`) finds it on Linux: that of the first interface
//! which has an IPv4 address and a hardware address other than zero.

#[cfg(not(target_os = "linux"))]
pub(super) fn node() -> Option<[u8; 6]> {
    None
}

#[cfg(target_os = "linux")]
pub(super) use linux::node;

#[cfg(target_os = "linux")]
mod linux {
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

    // rtnetlink(7): message types, the attribute that holds a link's address, and the flags of a request for all of them.
    const DONE: u16 = 3;
    const NEW_LINK: u16 = 16;
    const GET_LINK: u16 = 18;
    const NEW_ADDRESS: u16 = 20;
    const GET_ADDRESS: u16 = 22;
    const LINK_ADDRESS: u16 = 1;
    const REQUEST_DUMP: u16 = 0x301;
    const IPV4: u8 = 2;
    /// Larger than any datagram the kernel makes for a dump.
    const DATAGRAM: usize = 64 * 1024;
    /// A machine with more interfaces than fit in this many datagrams has one near the front, too.
    const DATAGRAMS: usize = 256;

    pub(in crate::seal) fn node() -> Option<[u8; 6]> {
        let links = dump(GET_LINK, 0).ok()?;
        let addresses = dump(GET_ADDRESS, IPV4).ok()?;
        first_node(&links, &addresses)
    }

    /// Asks the kernel for all links or addresses and returns the messages as they came.
    fn dump(kind: u16, family: u8) -> Result<Vec<u8>, Errno> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        send(&socket, &request(kind, family), SendFlags::empty())?;
        let mut all = Vec::new();
        let mut buffer = vec![0; DATAGRAM];
        for _ in 0..DATAGRAMS {
            let (_, length) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
            let datagram = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
            all.extend_from_slice(datagram);
            // 2 is an error: as final as the end.
            if messages(datagram).any(|message| message.kind == DONE || message.kind == 2) {
                break;
            }
        }
        Ok(all)
    }

    /// A message header of 16 bytes and a `rtgenmsg` padded to an `ifinfomsg`'s 16.
    fn request(kind: u16, family: u8) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        bytes.extend_from_slice(&32_u32.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.push(family);
        bytes.resize(32, 0);
        bytes
    }

    struct Message<'a> {
        kind: u16,
        body: &'a [u8],
    }

    /// The messages of a datagram; stops at the first that is malformed.
    fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
        std::iter::from_fn(move || {
            let length = usize::try_from(u32_at(rest, 0)?).ok()?;
            let message = rest.get(..length)?;
            let body = message.get(16..)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some(Message { kind: u16_at(message, 4)?, body })
        })
    }

    /// The attributes of a message body, its fixed part taken off.
    fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
        std::iter::from_fn(move || {
            let length = usize::from(u16_at(rest, 0)?);
            let value = rest.get(4..length)?;
            let kind = u16_at(rest, 2)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((kind, value))
        })
    }

    fn first_node(links: &[u8], addresses: &[u8]) -> Option<[u8; 6]> {
        let with_ipv4: Vec<u32> = messages(addresses)
            .filter(|message| message.kind == NEW_ADDRESS)
            .filter_map(|message| u32_at(message.body, 4))
            .collect();
        messages(links)
            .filter(|message| message.kind == NEW_LINK)
            .filter_map(|message| Some((u32_at(message.body, 4)?, hardware_address(message.body.get(16..)?)?)))
            .filter(|(index, _)| with_ipv4.contains(index))
            .min()
            .map(|(_, address)| address)
    }

    /// Six bytes, as an interface request (netdevice(7)) would show them: longer ones cut, shorter ones filled with zeros.
    fn hardware_address(rest: &[u8]) -> Option<[u8; 6]> {
        let (_, value) = attributes(rest).find(|(kind, _)| *kind == LINK_ADDRESS)?;
        let mut address = [0; 6];
        address.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
        address.iter().any(|byte| *byte != 0).then_some(address)
    }

    fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
        bytes.get(at..)?.first_chunk().map(|chunk| u16::from_ne_bytes(*chunk))
    }

    fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
        bytes.get(at..)?.first_chunk().map(|chunk| u32::from_ne_bytes(*chunk))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn message(kind: u16, body: &[u8]) -> Vec<u8> {
            let mut bytes = u32::try_from(16 + body.len()).expect("short").to_ne_bytes().to_vec();
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.extend_from_slice(&[0; 10]);
            bytes.extend_from_slice(body);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        }

        fn link(index: u32, address: &[u8]) -> Vec<u8> {
            let mut body = vec![0; 4];
            body.extend_from_slice(&index.to_ne_bytes());
            body.extend_from_slice(&[0; 8]);
            body.extend_from_slice(&[8, 0, 3, 0, b'x', 0, 0, 0]);
            body.extend_from_slice(&u16::try_from(4 + address.len()).expect("short").to_ne_bytes());
            body.extend_from_slice(&LINK_ADDRESS.to_ne_bytes());
            body.extend_from_slice(address);
            message(NEW_LINK, &body)
        }

        fn address(index: u32) -> Vec<u8> {
            let mut body = vec![IPV4, 24, 0, 0];
            body.extend_from_slice(&index.to_ne_bytes());
            message(NEW_ADDRESS, &body)
        }

        #[test]
        fn the_first_interface_with_both_addresses_counts() {
            let links = [
                link(5, &[2, 0, 0, 0, 0, 5]),
                link(1, &[0; 6]),
                link(2, &[2, 0, 0, 0, 0, 2]),
                link(3, &[0x02, 0x42, 0xac, 0x11, 0, 2]),
                message(DONE, &[0; 4]),
            ]
            .concat();
            let addresses = [address(1), address(3), address(5)].concat();
            assert_eq!(first_node(&links, &addresses), Some([0x02, 0x42, 0xac, 0x11, 0, 2]));
            assert_eq!(first_node(&links, &address(1)), None, "loopback has none");
        }

        #[test]
        fn short_addresses_are_filled_and_long_ones_cut() {
            assert_eq!(first_node(&link(1, &[10, 0, 0, 1]), &address(1)), Some([10, 0, 0, 1, 0, 0]));
            assert_eq!(first_node(&link(1, &[7; 20]), &address(1)), Some([7; 6]));
        }

        #[test]
        fn i7_malformed_messages_end_the_search() {
            let whole = link(1, &[1, 2, 3, 4, 5, 6]);
            let length = usize::try_from(u32_at(&whole, 0).expect("a length")).expect("short");
            for end in 0..length {
                assert_eq!(first_node(&whole[..end], &address(1)), None, "{end}");
            }
            let mut zero = whole;
            zero[..4].fill(0);
            assert_eq!(first_node(&zero, &address(1)), None);
        }
    }
}
