//! Where the running kernel keeps what the programs read.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Offset of a field that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Declares [`Layout`] together with what each field is looked up by, so that neither can be forgotten.
macro_rules! layout {
    (
        fields { $($(#[$doc:meta])* $name:ident: $size:literal = $paths:expr;)+ }
        bits { $($(#[$bit_doc:meta])* $bit:ident, $mask:ident = $bit_path:literal;)+ }
        numbers { $($(#[$number_doc:meta])* $number:ident = $enumerator:literal;)+ }
    ) => {
        /// Byte offsets of kernel fields and values of kernel enumerators, resolved by user space in the
        /// running kernel's BTF and set before load. The map that holds it is frozen, so the verifier
        /// knows each of them, and prunes branches on [`ABSENT`] ones.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        pub struct Layout {
            $($(#[$doc])* pub $name: u32,)+
            $(
                $(#[$bit_doc])* pub $bit: u32,
                /// The bit within that byte, as a mask.
                pub $mask: u32,
            )+
            $($(#[$number_doc])* pub $number: u32,)+
            /// 1 where tracing programs may call `bpf_get_socket_cookie` (5.12 and later).
            pub has_socket_cookie_helper: u32,
        }
        crate::pod!(Layout);

        impl Layout {
            /// Nothing is known.
            pub const ABSENT: Self = Self {
                $($name: ABSENT,)+
                $($bit: ABSENT, $mask: 0,)+
                $($number: ABSENT,)+
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

            /// Every field of one bit.
            pub const BITS: &'static [Bit] = &[$(Bit {
                name: stringify!($bit),
                path: $bit_path,
                set: |layout, offset, mask| {
                    layout.$bit = offset;
                    layout.$mask = mask;
                },
            },)+];

            /// Every value of an enumerator.
            pub const NUMBERS: &'static [Number] = &[$(Number {
                name: stringify!($number),
                enumerator: $enumerator,
                set: |layout, value| layout.$number = value,
            },)+];
        }
    };
}

/// One bit of [`Layout`].
#[derive(Clone, Copy)]
pub struct Bit {
    /// Name in [`Layout`].
    pub name: &'static str,
    /// Path as in [`Field`].
    pub path: &'static str,
    /// Sets the byte's offset and the mask.
    pub set: fn(&mut Layout, u32, u32),
}

/// One enumerator of [`Layout`].
#[derive(Clone, Copy)]
pub struct Number {
    /// Name in [`Layout`].
    pub name: &'static str,
    /// Name in the kernel.
    pub enumerator: &'static str,
    /// Sets the value.
    pub set: fn(&mut Layout, u32),
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
    fields {
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
        /// 1 for a subflow of Multipath TCP; absent where the kernel was built without it.
        tcp_is_mptcp: 1 = ["tcp_sock.is_mptcp"];
        /// Payload length.
        skb_len: 4 = ["sk_buff.len"];
        /// Memory taken.
        skb_truesize: 4 = ["sk_buff.truesize"];
        /// Start of `tcp_skb_cb`, whose first word is the sequence number.
        skb_cb: 48 = ["sk_buff.cb"];
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
        /// What is charged to a memory cgroup and all below it, in pages.
        memcg_memory_usage: 8 = ["mem_cgroup.memory.usage.counter"];
        /// Its limit (`memory.max`), in pages.
        memcg_memory_max: 8 = ["mem_cgroup.memory.max"];
        /// The counter of the memory cgroup above.
        memcg_memory_parent: 8 = ["mem_cgroup.memory.parent"];
        /// TCP memory of a memory cgroup (v1), in pages.
        memcg_tcpmem_usage: 8 = ["mem_cgroup.tcpmem.usage.counter"];
        /// Its limit, in pages.
        memcg_tcpmem_max: 8 = ["mem_cgroup.tcpmem.max"];
        /// The counter of the memory cgroup above.
        memcg_tcpmem_parent: 8 = ["mem_cgroup.tcpmem.parent"];
        /// Where a counter keeps what is charged.
        page_counter_usage: 8 = ["page_counter.usage.counter"];
        /// Root of the out-of-order queue, null when it is empty.
        tcp_ofo_root: 8 = ["tcp_sock.out_of_order_queue.rb_node"];
        /// First skb of the receive queue; of an empty one, the queue itself.
        sock_receive_queue: 8 = ["sock.sk_receive_queue.next"];
        /// Next skb of a queue.
        skb_next: 8 = ["sk_buff.next"];
        /// Inode number of a network namespace.
        net_inum: 4 = ["net.ns.inum"];
        /// Cookie of a network namespace.
        net_cookie: 8 = ["net.net_cookie", "net.net_cookie.counter"];
        /// The three `tcp_mem` values of a protocol.
        proto_sysctl_mem: 8 = ["proto.sysctl_mem"];
        /// Skbs and segments that the socket threw away, of which `ss` shows the sum as `d`.
        sock_drops: 4 = ["sock.sk_drops.counter"];
        /// Right edge of the window that was last advertised, less `rcv_wnd`.
        tcp_rcv_wup: 4 = ["tcp_sock.rcv_wup"];
        /// Window that was last advertised.
        tcp_rcv_wnd: 4 = ["tcp_sock.rcv_wnd"];
        /// The socket that an skb is charged to.
        skb_sk: 8 = ["sk_buff.sk"];
        /// The listener of a request.
        request_listener: 8 = ["request_sock.__req_common.skc_listener"];
        /// Per-CPU counters of a network namespace (`struct linux_mib`, an array of 64-bit words).
        net_mib: 8 = ["net.mib.net_statistics"];
    }
    bits {
        /// Byte that holds the bit `pfmemalloc`: the segment came from the emergency reserves.
        skb_pfmemalloc, skb_pfmemalloc_mask = "sk_buff.pfmemalloc";
        /// Byte that holds the bit `csum_complete_sw`: its checksum was computed here.
        skb_csum_complete_sw, skb_csum_complete_sw_mask = "sk_buff.csum_complete_sw";
        /// Byte that holds the bit `csum_valid`: and was right.
        skb_csum_valid, skb_csum_valid_mask = "sk_buff.csum_valid";
    }
    numbers {
        /// Reason of a drop: the receive window was 0.
        reason_zero_window = "SKB_DROP_REASON_TCP_ZEROWINDOW";
        /// Reason of a drop: thrown out of the out-of-order queue to make room.
        reason_ofo_prune = "SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE";
        /// Reason of a drop: an out-of-order skb that later data covered whole.
        reason_ofo_covered = "SKB_DROP_REASON_TCP_OFO_DROP";
        /// Reason of a drop: the backlog of a socket in use was full.
        reason_backlog = "SKB_DROP_REASON_SOCKET_BACKLOG";
        /// Cell of `ListenDrops` in `linux_mib`.
        mib_listen_drops = "LINUX_MIB_LISTENDROPS";
        /// Cell of `TCPRcvQDrop`.
        mib_rcvq_drop = "LINUX_MIB_TCPRCVQDROP";
        /// Cell of `TCPMemoryPressures`.
        mib_pressures = "LINUX_MIB_TCPMEMORYPRESSURES";
        /// Cell of `TCPMemoryPressuresChrono`.
        mib_pressures_ms = "LINUX_MIB_TCPMEMORYPRESSURESCHRONO";
        /// Cell of `PruneCalled`.
        mib_prune_called = "LINUX_MIB_PRUNECALLED";
        /// Cell of `RcvPruned`.
        mib_rcv_pruned = "LINUX_MIB_RCVPRUNED";
        /// Cell of `OfoPruned`.
        mib_ofo_pruned = "LINUX_MIB_OFOPRUNED";
        /// Cell of `TCPRcvCollapsed`.
        mib_rcv_collapsed = "LINUX_MIB_TCPRCVCOLLAPSED";
    }
}
