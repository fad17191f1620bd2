//! UDP in batches: `recvmmsg`, `sendmmsg`, segmentation offload. The only file of the crate with `unsafe`.
//!
//! The media plane has such a file too, for one socket of a worker. Here a worker has thousands: listeners that share a
//! port, relays that are opened and closed with their allocations; nobody needs the time of arrival, and who waits is the
//! poller.
//!
//! Invariants:
//! - a kernel structure with a pointer lives no longer than the call it was made for;
//! - addresses that leave this file are canonical: an IPv4 peer of an IPv6 socket is an IPv4 address;
//! - what the kernel refuses is returned, never a panic.
#![expect(unsafe_code, reason = "batched datagrams and segmentation offload have no safe form in std")]

use std::{
    io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use libc::{
    c_int, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t,
};

use crate::server::Fragmentation;

/// Messages per receive call. Higher: fewer calls under load. Lower: the buffers stay in the second-level cache.
pub(super) const RECEIVE_MAX: usize = 32;
/// Messages per send call. Higher: fewer calls. Lower: the arena behind them stays in the second-level cache.
pub(super) const SEND_MAX: usize = 64;
/// The largest UDP payload over IPv4: 65,535 minus the IP and UDP headers.
pub(super) const DATAGRAM_MAX: usize = 65_507;
/// The kernel takes at most 64 segments in one message (`UDP_MAX_SEGMENTS` before Linux 6.11).
pub(super) const SEGMENTS_MAX: usize = 64;

/// Coalesced messages hold many datagrams; a shorter buffer would lose the tail.
const SLOT: usize = 65_536;
/// Room for a segment size and a packet info, each with its header.
const CONTROL_LEN: usize = 96;

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Clients speak to it; workers share its port, and each datagram's local address is told.
    Listener,
    /// Peers speak to it.
    Relay,
}

/// A UDP socket. A listener at the unspecified IPv6 address serves IPv4 too.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    v6: bool,
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl Socket {
    /// `buffer` is in bytes for each direction; the kernel grants what `net.core.rmem_max` allows.
    pub(super) fn bind(addr: SocketAddr, purpose: Purpose, buffer: Option<usize>) -> io::Result<Self> {
        let v6 = addr.is_ipv6();
        let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        // SAFETY: a plain call without pointers.
        let fd =
            unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
        check(fd)?;
        // SAFETY: `socket` returned a descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if let Some(buffer) = buffer {
            let buffer = c_int::try_from(buffer).unwrap_or(c_int::MAX);
            set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, buffer)?;
            set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUF, buffer)?;
        }
        match purpose {
            Purpose::Listener => {
                set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
                if v6 {
                    set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
                    set(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
                } else {
                    set(&fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
                }
            }
            Purpose::Relay if v6 => set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?,
            // RFC 8656 §15: routers may cut what is relayed, unless the client says otherwise.
            Purpose::Relay => set(&fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?,
        }
        // Without it every datagram is a message of its own, and all works.
        let _ = set(&fd, libc::SOL_UDP, libc::UDP_GRO, 1);
        let name = Name::from(addr);
        // SAFETY: `name` is a socket address of `name.len()` bytes that outlives the call.
        check(unsafe { libc::bind(fd.as_raw_fd(), name.as_ptr(), name.len()) })?;
        Ok(Self { fd, v6 })
    }

    /// Whether routers may cut what is sent from here on into pieces.
    pub(super) fn set_fragmentation(&self, fragmentation: Fragmentation) -> io::Result<()> {
        let (level, name, allowed, refused) = if self.v6 {
            let (allowed, refused) = (libc::IPV6_PMTUDISC_DONT, libc::IPV6_PMTUDISC_DO);
            (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, allowed, refused)
        } else {
            let (allowed, refused) = (libc::IP_PMTUDISC_DONT, libc::IP_PMTUDISC_DO);
            (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, allowed, refused)
        };
        set(&self.fd, level, name, if fragmentation == Fragmentation::Refused { refused } else { allowed })
    }

    /// Where it is bound.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        // SAFETY: all-zero is a valid `sockaddr_storage`.
        let mut storage: sockaddr_storage = unsafe { mem::zeroed() };
        let mut len = STORAGE_LEN;
        let name = ptr::from_mut(&mut storage).cast();
        // SAFETY: `name` has room for `len` bytes and both outlive the call.
        check(unsafe { libc::getsockname(self.fd.as_raw_fd(), name, &raw mut len) })?;
        socket_addr(&storage).ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    /// Fills `inbox` with what waits, without waiting: 0 when nothing does.
    pub(super) fn receive(&self, inbox: &mut Inbox) -> usize {
        inbox.filled = 0;
        let mut vectors: [iovec; RECEIVE_MAX] = [EMPTY_VECTOR; RECEIVE_MAX];
        // SAFETY: all-zero is a valid `mmsghdr`: null pointers with zero lengths.
        let mut headers: [mmsghdr; RECEIVE_MAX] = unsafe { mem::zeroed() };
        let slots = inbox.bytes.chunks_exact_mut(SLOT).zip(&mut inbox.names).zip(&mut inbox.controls);
        for (((bytes, name), control), (vector, header)) in slots.zip(vectors.iter_mut().zip(&mut headers)) {
            *vector = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = STORAGE_LEN;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
        }
        let (fd, list) = (self.fd.as_raw_fd(), headers.as_mut_ptr());
        // SAFETY: every header points into `inbox` or `vectors`, which outlive the call, with their true lengths.
        let count = unsafe { libc::recvmmsg(fd, list, RECEIVE_LEN, libc::MSG_DONTWAIT, ptr::null_mut()) };
        let count = usize::try_from(count).unwrap_or(0);
        for ((header, name), note) in headers.iter().zip(&inbox.names).zip(&mut inbox.notes).take(count) {
            *note = Note::read(header, socket_addr(name));
        }
        inbox.filled = count;
        count
    }

    /// Sends messages in one call. Tells how many the kernel took; when not all, also why the next was refused.
    pub(super) fn send(&self, messages: &[Outgoing<'_>]) -> (usize, Option<io::Error>) {
        let count = messages.len().min(SEND_MAX);
        let mut names = [Name::NONE; SEND_MAX];
        let mut controls = [Control::EMPTY; SEND_MAX];
        let mut vectors: [iovec; SEND_MAX] = [EMPTY_VECTOR; SEND_MAX];
        // SAFETY: all-zero is a valid `mmsghdr`: null pointers with zero lengths.
        let mut headers: [mmsghdr; SEND_MAX] = unsafe { mem::zeroed() };
        let parts = names.iter_mut().zip(&mut controls).zip(vectors.iter_mut().zip(&mut headers));
        for (message, ((name, control), (vector, header))) in messages.iter().zip(parts) {
            *name = self.name(message.to);
            *vector =
                iovec { iov_base: message.bytes.as_ptr().cast_mut().cast(), iov_len: message.bytes.len() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            control.write(
                &mut header.msg_hdr,
                message.segment,
                message.from.map(|from| self.packet_info(from)),
            );
        }
        let len = u32::try_from(count).unwrap_or(0);
        let (fd, list) = (self.fd.as_raw_fd(), headers.as_mut_ptr());
        // SAFETY: every header points into this frame or into `messages`, which outlive the call, with true lengths.
        let sent = unsafe { libc::sendmmsg(fd, list, len, libc::MSG_DONTWAIT) };
        match usize::try_from(sent) {
            Ok(sent) => (sent, None),
            Err(_) => (0, Some(io::Error::last_os_error())),
        }
    }

    /// The socket address in this socket's family.
    fn name(&self, addr: SocketAddr) -> Name {
        match addr {
            SocketAddr::V4(v4) if self.v6 => {
                Name::V6(v6_name(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0)))
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => Name::from(addr),
        }
    }

    fn packet_info(&self, from: IpAddr) -> PacketInfo {
        match from {
            IpAddr::V4(v4) if self.v6 => PacketInfo::V6(v4.to_ipv6_mapped()),
            IpAddr::V4(v4) => PacketInfo::V4(v4),
            IpAddr::V6(v6) => PacketInfo::V6(v6),
        }
    }
}

/// One message to send: a datagram, or several of equal length that the kernel cuts apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) to: SocketAddr,
    /// The address to send from, where it matters.
    pub(super) from: Option<IpAddr>,
    pub(super) bytes: &'a [u8],
    /// The length of each datagram but the last (`UDP_SEGMENT`); `None` for a single one.
    pub(super) segment: Option<u16>,
}

/// Buffers for one receive call.
pub(super) struct Inbox {
    bytes: Box<[u8]>,
    names: [sockaddr_storage; RECEIVE_MAX],
    controls: [Control; RECEIVE_MAX],
    notes: [Note; RECEIVE_MAX],
    filled: usize,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    pub(super) from: SocketAddr,
    /// The address it came to, when tracked.
    pub(super) local: Option<IpAddr>,
    pub(super) bytes: &'a [u8],
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; SLOT * RECEIVE_MAX].into_boxed_slice(),
            // SAFETY: all-zero is a valid `sockaddr_storage`.
            names: unsafe { mem::zeroed() },
            controls: [Control::EMPTY; RECEIVE_MAX],
            notes: [Note::default(); RECEIVE_MAX],
            filled: 0,
        }
    }

    /// What the last call brought, one datagram at a time.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = Incoming<'_>> {
        let messages = self.bytes.chunks_exact(SLOT).zip(&self.notes).take(self.filled);
        messages.flat_map(|(bytes, note)| {
            let bytes = bytes.get(..note.len).unwrap_or_default();
            let step = if note.segment == 0 { note.len.max(1) } else { note.segment };
            let empty = (note.len == 0).then_some(bytes);
            bytes
                .chunks(step)
                .chain(empty)
                .filter_map(|bytes| Some(Incoming { from: note.from?, local: note.local, bytes }))
        })
    }
}

/// What the kernel said about one received message.
#[derive(Clone, Copy, Debug, Default)]
struct Note {
    from: Option<SocketAddr>,
    local: Option<IpAddr>,
    len: usize,
    /// 0 when the message is a single datagram.
    segment: usize,
}

impl Note {
    fn read(header: &mmsghdr, from: Option<SocketAddr>) -> Self {
        let mut note = Self { from, len: header.msg_len as usize, ..Self::default() };
        // A datagram that did not fit is not what was sent: it is dropped like any other garbage.
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            note.from = None;
        }
        // SAFETY: the kernel filled the control buffer that the header points to, and set its length.
        let mut control = unsafe { libc::CMSG_FIRSTHDR(&raw const header.msg_hdr) };
        while !control.is_null() {
            // SAFETY: `control` is not null, so it points to a complete header inside the control buffer.
            let (level, kind) = unsafe { ((*control).cmsg_level, (*control).cmsg_type) };
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    note.segment = usize::try_from(data::<c_int>(control).unwrap_or(0)).unwrap_or(0);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    note.local = data::<libc::in6_pktinfo>(control)
                        .map(|info| IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical());
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    note.local = data::<libc::in_pktinfo>(control)
                        .map(|info| IpAddr::V4(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())));
                }
                _ => {}
            }
            // SAFETY: header and `control` belong together; the macro stays inside the control buffer.
            control = unsafe { libc::CMSG_NXTHDR(&raw const header.msg_hdr, control) };
        }
        note
    }
}

/// The payload of a control message, when it is as long as a `T`. Only for plain C structures.
fn data<T: Copy>(control: *const cmsghdr) -> Option<T> {
    #[expect(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
    // SAFETY: the caller walks the list the kernel wrote, so `control` points to a complete header.
    let len = unsafe { (*control).cmsg_len } as usize;
    let size = u32::try_from(size_of::<T>()).ok()?;
    // SAFETY: pure arithmetic.
    let wanted = unsafe { libc::CMSG_LEN(size) } as usize;
    // SAFETY: the length was checked, the type is plain, and the read needs no alignment.
    (len >= wanted).then(|| unsafe { ptr::read_unaligned(libc::CMSG_DATA(control).cast::<T>()) })
}

/// Control messages for one header, aligned as the kernel wants them.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Control([u8; CONTROL_LEN]);

enum PacketInfo {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Control {
    const EMPTY: Self = Self([0; CONTROL_LEN]);

    /// Adds what the message needs and points the header at it.
    fn write(&mut self, header: &mut msghdr, segment: Option<u16>, from: Option<PacketInfo>) {
        if segment.is_none() && from.is_none() {
            return;
        }
        header.msg_control = self.0.as_mut_ptr().cast();
        let mut used = 0;
        if let Some(segment) = segment {
            used += self.push(used, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
        }
        used += match from {
            Some(PacketInfo::V4(addr)) => {
                // SAFETY: all-zero is a valid `in_pktinfo`: no interface, no address.
                let mut info: libc::in_pktinfo = unsafe { mem::zeroed() };
                info.ipi_spec_dst.s_addr = u32::from_ne_bytes(addr.octets());
                self.push(used, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
            }
            Some(PacketInfo::V6(addr)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: addr.octets() },
                    ipi6_ifindex: 0,
                };
                self.push(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
            }
            None => 0,
        };
        header.msg_controllen = used as _;
    }

    /// Writes one control message at `at`; returns the space it takes. Only for plain C values.
    fn push<T: Copy>(&mut self, at: usize, level: c_int, kind: c_int, value: T) -> usize {
        let size = u32::try_from(size_of::<T>()).unwrap_or(0);
        // SAFETY: pure arithmetic.
        let (len, space) = unsafe { (libc::CMSG_LEN(size) as usize, libc::CMSG_SPACE(size) as usize) };
        let Some(place) = self.0.get_mut(at..at + space) else { return 0 };
        let header = place.as_mut_ptr().cast::<cmsghdr>();
        // SAFETY: `place` has `space` bytes, enough for the header and the value; it is 8-aligned because the buffer
        // is and every space is a multiple of 8; the value is written without need of alignment.
        unsafe {
            ptr::write(header, cmsghdr { cmsg_len: len as _, cmsg_level: level, cmsg_type: kind });
            ptr::write_unaligned(libc::CMSG_DATA(header).cast::<T>(), value);
        }
        space
    }
}

/// A socket address as the kernel has it.
#[derive(Clone, Copy)]
enum Name {
    V4(sockaddr_in),
    V6(sockaddr_in6),
}

impl Name {
    const NONE: Self = Self::V4(sockaddr_in {
        sin_family: 0,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: 0 },
        sin_zero: [0; 8],
    });

    fn as_ptr(&self) -> *const libc::sockaddr {
        match self {
            Self::V4(name) => ptr::from_ref(name).cast(),
            Self::V6(name) => ptr::from_ref(name).cast(),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "16 and 28")]
    fn len(&self) -> socklen_t {
        match self {
            Self::V4(_) => size_of::<sockaddr_in>() as socklen_t,
            Self::V6(_) => size_of::<sockaddr_in6>() as socklen_t,
        }
    }
}

impl From<SocketAddr> for Name {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(addr) => Self::V4(v4_name(addr)),
            SocketAddr::V6(addr) => Self::V6(v6_name(addr)),
        }
    }
}

fn v4_name(addr: SocketAddrV4) -> sockaddr_in {
    sockaddr_in {
        sin_family: AF_INET,
        sin_port: addr.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(addr.ip().octets()) },
        sin_zero: [0; 8],
    }
}

fn v6_name(addr: SocketAddrV6) -> sockaddr_in6 {
    sockaddr_in6 {
        sin6_family: AF_INET6,
        sin6_port: addr.port().to_be(),
        sin6_flowinfo: addr.flowinfo(),
        sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
        sin6_scope_id: addr.scope_id(),
    }
}

/// The canonical form of an address the kernel wrote; `None` for a family that is not IP.
fn socket_addr(storage: &sockaddr_storage) -> Option<SocketAddr> {
    let place = ptr::from_ref(storage);
    match storage.ss_family {
        AF_INET => {
            // SAFETY: the family says which structure it is, and the storage is larger and aligned for all.
            let name = unsafe { &*place.cast::<sockaddr_in>() };
            let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(name.sin_port))))
        }
        AF_INET6 => {
            // SAFETY: as above.
            let name = unsafe { &*place.cast::<sockaddr_in6>() };
            let (ip, port) = (Ipv6Addr::from(name.sin6_addr.s6_addr), u16::from_be(name.sin6_port));
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, port)),
                // The scope names the interface of a link-local peer; flow labels are not part of who it is.
                None => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, name.sin6_scope_id)),
            })
        }
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "2 and 10")]
const AF_INET: libc::sa_family_t = libc::AF_INET as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "2 and 10")]
const AF_INET6: libc::sa_family_t = libc::AF_INET6 as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "128")]
const STORAGE_LEN: socklen_t = size_of::<sockaddr_storage>() as socklen_t;
#[expect(clippy::cast_possible_truncation, reason = "4")]
const INT_LEN: socklen_t = size_of::<c_int>() as socklen_t;
#[expect(clippy::cast_possible_truncation, reason = "32")]
const RECEIVE_LEN: u32 = RECEIVE_MAX as u32;
const EMPTY_VECTOR: iovec = iovec { iov_base: ptr::null_mut::<c_void>(), iov_len: 0 };

fn set(fd: &OwnedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let value = ptr::from_ref(&value).cast();
    // SAFETY: `value` points to an int that outlives the call, and the length says so.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value, INT_LEN) })
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
