//! Where the running kernel keeps what the programs read.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Offset of a field that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Declares [`Layout`] together with the BTF path of each field, so that neither can be forgotten.
macro_rules! layout {
    ($($(#[$doc:meta])* $name:ident: $size:literal = $paths:expr;)+) => {
        /// Byte offsets of kernel fields, resolved by user space in the running kernel's BTF and set
        /// before load. The map that holds it is frozen, so the verifier knows each offset, and prunes
        /// branches on [`ABSENT`] ones.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        pub struct Layout {
            $($(#[$doc])* pub $name: u32,)+
            /// Bit of the byte at `skb_pfmemalloc` that is `pfmemalloc`, as a mask.
            pub skb_pfmemalloc_mask: u32,
            /// 1 where tracing programs may call `bpf_get_socket_cookie` (5.12 and later).
            pub has_socket_cookie_helper: u32,
        }
        crate::pod!(Layout);

        impl Layout {
            /// No field is known.
            pub const ABSENT: Self = Self {
                $($name: ABSENT,)+
                skb_pfmemalloc_mask: 0,
                has_socket_cookie_helper: 0,
            };

            /// Every field: its name here, its size in bytes, and the paths it may have, the first found wins.
            pub const FIELDS: &'static [Field] = &[$(Field {
                name: stringify!($name),
                size: $size,
                paths: &$paths,
                set: |layout, offset| layout.$name = offset,
                get: |layout| layout.$name,
            },)+];
        }
    };
}

/// One field of [`Layout`].
#[derive(Clone, Copy)]
pub struct Field {
    /// Name in [`Layout`].
    pub name: &'static str,
    /// Size in bytes that the programs read; a field of another size counts as absent.
    pub size: u32,
    /// Paths of the form `struct.member.member`; anonymous members are descended into.
    pub paths: &'static [&'static str],
    /// Sets the field.
    pub set: fn(&mut Layout, u32),
    /// Gets the field.
    pub get: fn(&Layout) -> u32,
}

layout! {
    /// Bytes charged to the receive side.
    sock_rmem_alloc: 4 = ["sock.sk_backlog.rmem_alloc.counter"];
    /// Limit of the receive side.
    sock_rcvbuf: 4 = ["sock.sk_rcvbuf"];
    /// The socket's cgroup: a pointer, or on 5.10 a tagged word.
    sock_cgroup: 8 = ["sock.sk_cgrp_data.cgroup"];
    /// The tagged word of 5.10.
    sock_cgroup_val: 8 = ["sock.sk_cgrp_data.val"];
    /// The memory cgroup.
    sock_memcg: 8 = ["sock.sk_memcg"];
    /// The network namespace.
    sock_net: 8 = ["sock.__sk_common.skc_net.net"];
    /// Cookie, 0 until somebody asks.
    sock_cookie: 8 = ["sock.__sk_common.skc_cookie.counter"];
    /// Address family.
    sock_family: 2 = ["sock.__sk_common.skc_family"];
    /// TCP state.
    sock_state: 1 = ["sock.__sk_common.skc_state"];
    /// Transport protocol (`IPPROTO_TCP` is 6).
    sock_protocol: 2 = ["sock.sk_protocol"];
    /// Local port, host byte order.
    sock_num: 2 = ["sock.__sk_common.skc_num"];
    /// Remote port, network byte order.
    sock_dport: 2 = ["sock.__sk_common.skc_dport"];
    /// Remote IPv4 address.
    sock_daddr: 4 = ["sock.__sk_common.skc_daddr"];
    /// Local IPv4 address.
    sock_rcv_saddr: 4 = ["sock.__sk_common.skc_rcv_saddr"];
    /// Remote IPv6 address.
    sock_v6_daddr: 16 = ["sock.__sk_common.skc_v6_daddr"];
    /// Local IPv6 address.
    sock_v6_rcv_saddr: 16 = ["sock.__sk_common.skc_v6_rcv_saddr"];
    /// Next sequence number wanted.
    tcp_rcv_nxt: 4 = ["tcp_sock.rcv_nxt"];
    /// Next sequence number to be read.
    tcp_copied_seq: 4 = ["tcp_sock.copied_seq"];
    /// Payload length.
    skb_len: 4 = ["sk_buff.len"];
    /// Memory taken.
    skb_truesize: 4 = ["sk_buff.truesize"];
    /// Start of `tcp_skb_cb`, whose first word is the sequence number.
    skb_cb: 48 = ["sk_buff.cb"];
    /// Byte that holds the bit `pfmemalloc`.
    skb_pfmemalloc: 1 = ["sk_buff.pfmemalloc"];
    /// kernfs node of a cgroup.
    cgroup_kn: 8 = ["cgroup.kn"];
    /// Hierarchy of a cgroup.
    cgroup_root: 8 = ["cgroup.root"];
    /// Id of a kernfs node: the inode number of the directory.
    kernfs_id: 8 = ["kernfs_node.id"];
    /// Number of a hierarchy.
    cgroup_root_hierarchy_id: 4 = ["cgroup_root.hierarchy_id"];
    /// Cgroup of a memory cgroup.
    memcg_cgroup: 8 = ["mem_cgroup.css.cgroup"];
    /// Inode number of a network namespace.
    net_inum: 4 = ["net.ns.inum"];
    /// Cookie of a network namespace.
    net_cookie: 8 = ["net.net_cookie", "net.net_cookie.counter"];
    /// The three `tcp_mem` values of a protocol.
    proto_sysctl_mem: 8 = ["proto.sysctl_mem"];
}
