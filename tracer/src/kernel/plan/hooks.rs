//! The hooks that a plan is made of, outermost first.

use super::{
    Flavour, Sight,
    Sight::{Blind, Derived},
    hook::{Hook, On},
};
use crate::indicators::{
    Counter,
    Counter::{
        ListenDrops, OfoPruned, PruneCalled, RcvPruned, TCPAbortOnMemory, TCPBacklogDrop,
        TCPMemoryPressures, TCPMemoryPressuresChrono, TCPOFODrop, TCPRcvCollapsed, TCPRcvQDrop,
        TCPZeroWindowDrop,
    },
};

type Programs = &'static [(usize, &'static str)];

const fn fentry(name: &'static str, programs: Programs) -> Hook {
    Hook::new(name, Flavour::Fentry, programs)
}

const fn fexit(name: &'static str, programs: Programs) -> Hook {
    Hook::new(name, Flavour::Fexit, programs)
}

const fn tp_btf(name: &'static str, programs: Programs) -> Hook {
    Hook::new(name, Flavour::TpBtf, programs)
}

/// Without admission itself nothing is seen.
const EVERYTHING: &[(Counter, Sight)] = &[
    (PruneCalled, Blind),
    (RcvPruned, Blind),
    (OfoPruned, Blind),
    (TCPRcvCollapsed, Blind),
    (TCPRcvQDrop, Blind),
    (TCPOFODrop, Blind),
];

/// For a program that reads none but the first argument.
pub(super) const ANY: usize = usize::MAX;

/// Outermost first: whatever is attached later runs inside what is attached already, so that no call is
/// seen to end whose beginning was missed. Detached in reverse.
pub(super) const HOOKS: &[Hook] = &[
    tp_btf("tcp_destroy_sock", &[(0, "destroy_sock")])
        .otherwise("the state of sockets that died is not closed"),
    tp_btf("cgroup_mkdir", &[(0, "cgroup_mkdir")])
        .otherwise("cgroups that are born and die within the window have no name"),
    // match-proto:v5.10:net/ipv4/tcp_ipv4.c:int tcp_v4_conn_request(struct sock *sk, struct sk_buff *skb)
    fexit("tcp_v4_conn_request", &[(ANY, "v4_request_exit")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    fentry("tcp_v4_conn_request", &[(ANY, "v4_request_enter")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    // match-proto:v5.10:net/ipv6/tcp_ipv6.c:static int tcp_v6_conn_request(struct sock *sk, struct sk_buff *skb)
    fexit("tcp_v6_conn_request", &[(ANY, "v6_request_exit")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    fentry("tcp_v6_conn_request", &[(ANY, "v6_request_enter")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    // match-proto:v6.1:net/mptcp/subflow.c:static int subflow_v4_conn_request(struct sock *sk, struct sk_buff *skb)
    fexit(
        "subflow_v4_conn_request",
        &[(ANY, "subflow_v4_request_exit")],
    )
    .needed_by(&[(ListenDrops, Derived)])
    .on(On::WithMptcpReadingCounters),
    fentry(
        "subflow_v4_conn_request",
        &[(ANY, "subflow_v4_request_enter")],
    )
    .needed_by(&[(ListenDrops, Derived)])
    .on(On::WithMptcpReadingCounters),
    // match-proto:v6.1:net/mptcp/subflow.c:static int subflow_v6_conn_request(struct sock *sk, struct sk_buff *skb)
    fexit(
        "subflow_v6_conn_request",
        &[(ANY, "subflow_v6_request_exit")],
    )
    .needed_by(&[(ListenDrops, Derived)])
    .on(On::WithMptcpReadingCounters),
    fentry(
        "subflow_v6_conn_request",
        &[(ANY, "subflow_v6_request_enter")],
    )
    .needed_by(&[(ListenDrops, Derived)])
    .on(On::WithMptcpReadingCounters),
    // match-proto:v5.10:net/ipv4/tcp_minisocks.c:struct sock *tcp_check_req(struct sock *sk, struct sk_buff *skb, struct request_sock *req, bool fastopen, bool *req_stolen)
    fexit("tcp_check_req", &[(ANY, "check_req_exit")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    fentry("tcp_check_req", &[(ANY, "check_req_enter")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    // match-proto:v5.10:net/ipv4/syncookies.c:struct sock *tcp_get_cookie_sock(struct sock *sk, struct sk_buff *skb, struct request_sock *req, struct dst_entry *dst, u32 tsoff)
    fexit("tcp_get_cookie_sock", &[(ANY, "cookie_sock_exit")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    fentry("tcp_get_cookie_sock", &[(ANY, "cookie_sock_enter")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    // match-proto:v5.10:net/ipv4/tcp_ipv4.c:void tcp_req_err(struct sock *sk, u32 seq, bool abort)
    fexit("tcp_req_err", &[(ANY, "req_err_exit")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    fentry("tcp_req_err", &[(ANY, "req_err_enter")])
        .needed_by(&[(ListenDrops, Derived)])
        .on(On::ReadingCounters),
    // match-proto:v5.10:net/ipv4/tcp.c:void tcp_leave_memory_pressure(struct sock *sk)
    fexit("tcp_leave_memory_pressure", &[(1, "pressure_leave_exit")])
        .needed_by(&[(TCPMemoryPressuresChrono, Blind)])
        .doubled()
        .on(On::ReadingCounters),
    fentry("tcp_leave_memory_pressure", &[(1, "pressure_leave_enter")])
        .needed_by(&[(TCPMemoryPressuresChrono, Blind)])
        .doubled()
        .on(On::ReadingCounters),
    // match-proto:v5.10:net/ipv4/tcp.c:void tcp_enter_memory_pressure(struct sock *sk)
    fexit("tcp_enter_memory_pressure", &[(1, "pressure_enter_exit")])
        .needed_by(&[(TCPMemoryPressures, Blind)])
        .doubled()
        .on(On::ReadingCounters),
    fentry("tcp_enter_memory_pressure", &[(1, "pressure_enter_enter")])
        .needed_by(&[(TCPMemoryPressures, Blind)])
        .doubled()
        .on(On::ReadingCounters),
    // match-proto:v5.10:net/ipv4/tcp.c:bool tcp_check_oom(struct sock *sk, int shift)
    fexit("tcp_check_oom", &[(2, "check_oom_exit")])
        .needed_by(&[(TCPAbortOnMemory, Blind)])
        .counting(),
    // match-proto:v5.10:net/ipv4/tcp_ipv4.c:bool tcp_add_backlog(struct sock *sk, struct sk_buff *skb)
    // match-proto:v6.1:net/ipv4/tcp_ipv4.c:bool tcp_add_backlog(struct sock *sk, struct sk_buff *skb, enum skb_drop_reason *reason)
    // match-proto:v7.1:net/ipv4/tcp_ipv4.c:enum skb_drop_reason tcp_add_backlog(struct sock *sk, struct sk_buff *skb)
    fexit(
        "tcp_add_backlog",
        &[(2, "backlog_exit_2"), (3, "backlog_exit_3")],
    )
    .needed_by(&[(TCPBacklogDrop, Blind)])
    .counting(),
    // match-proto:v7.3:net/mptcp/options.c:bool mptcp_incoming_options(struct sock *sk, struct sk_buff *skb)
    fexit("mptcp_incoming_options", &[(2, "mptcp_options_exit")])
        .needed_by(&[(TCPRcvQDrop, Derived)])
        .counting()
        .on(On::MptcpRefusesReadingCounters),
    fentry("mptcp_incoming_options", &[(2, "mptcp_options_enter")])
        .needed_by(&[(TCPRcvQDrop, Derived)])
        .on(On::MptcpRefusesReadingCounters),
    // match-proto:v5.10:net/ipv4/tcp_input.c:static void tcp_data_queue(struct sock *sk, struct sk_buff *skb)
    fexit("tcp_data_queue", &[(2, "data_queue_exit")])
        .needed_by(&[(TCPRcvQDrop, Blind), (TCPZeroWindowDrop, Blind)])
        .doubled(),
    tp_btf("kfree_skb", &[(0, "kfree_skb")])
        .needed_by(&[(TCPZeroWindowDrop, Blind)])
        .doubled()
        .on(On::WithReasons)
        .otherwise("what is thrown out of the out-of-order queue is not seen"),
    fentry("tcp_data_queue", &[(2, "data_queue_enter")])
        .needed_by(&[(TCPZeroWindowDrop, Blind)])
        .doubled()
        .on(On::WithoutReasons),
    // match-proto:v5.10:net/ipv4/tcp_input.c:int tcp_send_rcvq(struct sock *sk, struct msghdr *msg, size_t size)
    fexit("tcp_send_rcvq", &[(3, "send_rcvq_exit")])
        .needed_by(&[(TCPRcvQDrop, Derived), (TCPOFODrop, Derived)])
        .doubled(),
    fentry("tcp_send_rcvq", &[(3, "send_rcvq_enter")])
        .needed_by(&[(TCPRcvQDrop, Derived), (TCPOFODrop, Derived)])
        .doubled(),
    // match-proto:v5.10:net/ipv4/tcp_input.c:static int tcp_try_rmem_schedule(struct sock *sk, struct sk_buff *skb, unsigned int size)
    fexit("tcp_try_rmem_schedule", &[(3, "rmem_exit")])
        .needed_by(EVERYTHING)
        .doubled(),
    fentry("tcp_try_rmem_schedule", &[(3, "rmem_enter")])
        .needed_by(EVERYTHING)
        .doubled(),
    // match-proto:v5.10:net/ipv4/tcp_input.c:static int tcp_prune_queue(struct sock *sk)
    fentry("tcp_prune_queue", &[(1, "prune_enter"), (2, "prune_enter")])
        .doubled()
        .otherwise("its calls are told exactly by what happens within tcp_try_rmem_schedule"),
    // match-proto:v5.10:net/ipv4/tcp_input.c:static bool tcp_prune_ofo_queue(struct sock *sk)
    // match-proto:v6.12:net/ipv4/tcp_input.c:static bool tcp_prune_ofo_queue(struct sock *sk, const struct sk_buff *in_skb)
    fexit(
        "tcp_prune_ofo_queue",
        &[(1, "prune_ofo_exit_1"), (2, "prune_ofo_exit_2")],
    )
    .needed_by(&[
        (OfoPruned, Blind),
        (PruneCalled, Derived),
        (RcvPruned, Derived),
    ])
    .doubled(),
    fentry(
        "tcp_prune_ofo_queue",
        &[(1, "prune_ofo_enter"), (2, "prune_ofo_enter")],
    )
    .doubled()
    .on(On::WithoutReasons)
    .otherwise("what is thrown out of the out-of-order queue is not seen"),
    // match-proto:v5.10:net/ipv4/tcp_input.c:static void tcp_collapse(struct sock *sk, struct sk_buff_head *list, struct rb_root *root, struct sk_buff *head, struct sk_buff *tail, u32 start, u32 end)
    fexit("tcp_collapse", &[(7, "collapse_exit")])
        .otherwise("the time that compacting queues takes is not told apart"),
    fentry("tcp_collapse", &[(7, "collapse_enter")])
        .otherwise("the time that compacting queues takes is not told apart"),
    // match-proto:v5.10:net/ipv4/tcp_input.c:static struct sk_buff *tcp_collapse_one(struct sock *sk, struct sk_buff *skb, struct sk_buff_head *list, struct rb_root *root)
    fentry("tcp_collapse_one", &[(4, "collapse_one_enter")])
        .needed_by(&[(TCPRcvCollapsed, Blind), (PruneCalled, Derived)])
        .doubled(),
    // match-proto:v5.10:net/core/sock.c:int __sk_mem_schedule(struct sock *sk, int size, int kind)
    fexit("__sk_mem_schedule", &[(3, "schedule_exit")])
        .needed_by(&[
            (PruneCalled, Derived),
            (RcvPruned, Derived),
            (TCPRcvQDrop, Derived),
            (TCPOFODrop, Derived),
        ])
        .doubled()
        .otherwise("refusals by tcp_mem and by a memory cgroup are not seen"),
    tp_btf("sock_exceed_buf_limit", &[(0, "exceed_buf_limit")])
        .labelling_twice()
        .otherwise("which limit refused is unknown unless it was the receive buffer"),
    // match-proto:v6.18:mm/memcontrol.c:bool mem_cgroup_sk_charge(const struct sock *sk, unsigned int nr_pages, gfp_t gfp_mask)
    fexit("mem_cgroup_sk_charge", &[(3, "sk_charge_exit")])
        .otherwise("a refusal by a memory cgroup is labelled unknown")
        .unless("mem_cgroup_charge_skmem"),
    // match-proto:v5.10:mm/memcontrol.c:bool mem_cgroup_charge_skmem(struct mem_cgroup *memcg, unsigned int nr_pages)
    // match-proto:v6.1:mm/memcontrol.c:bool mem_cgroup_charge_skmem(struct mem_cgroup *memcg, unsigned int nr_pages, gfp_t gfp_mask)
    fexit(
        "mem_cgroup_charge_skmem",
        &[(2, "charge_skmem_exit_short"), (3, "charge_skmem_exit")],
    )
    .otherwise("a refusal by a memory cgroup is labelled unknown")
    .unless("mem_cgroup_sk_charge"),
];
