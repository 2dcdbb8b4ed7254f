//! The hooks that a plan is made of, outermost first.

use super::{
    Flavour, Sight,
    Sight::{Blind, Derived},
};
use crate::indicators::{
    Counter,
    Counter::{OfoPruned, PruneCalled, RcvPruned, TCPOFODrop, TCPRcvCollapsed, TCPRcvQDrop},
};

/// One hook that the plan knows, and the programs for it by number of arguments.
pub(super) struct Hook {
    pub(super) name: &'static str,
    pub(super) flavour: Flavour,
    /// Number of arguments in BTF, and the program that reads it so.
    pub(super) programs: &'static [(usize, &'static str)],
    /// Whether there are two copies of each program.
    pub(super) doubled: bool,
    /// Counters that are not exact without it.
    pub(super) needed_by: &'static [(Counter, Sight)],
    /// What is lost without it, beyond counters.
    pub(super) otherwise: Option<&'static str>,
    /// Another hook that does its work on other kernels.
    pub(super) unless: Option<&'static str>,
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

/// Outermost first: whatever is attached later runs inside what is attached already, so that no call is
/// seen to end whose beginning was missed. Detached in reverse.
pub(super) const HOOKS: &[Hook] = &[
    Hook {
        name: "tcp_destroy_sock",
        flavour: Flavour::TpBtf,
        programs: &[(0, "destroy_sock")],
        doubled: false,
        needed_by: &[],
        otherwise: Some("the state of sockets that died is not closed"),
        unless: None,
    },
    Hook {
        name: "cgroup_mkdir",
        flavour: Flavour::TpBtf,
        programs: &[(0, "cgroup_mkdir")],
        doubled: false,
        needed_by: &[],
        otherwise: Some("cgroups that are born and die within the window have no name"),
        unless: None,
    },
    // match-proto:v5.10:net/ipv4/tcp_input.c:static void tcp_data_queue(struct sock *sk, struct sk_buff *skb)
    Hook {
        name: "tcp_data_queue",
        flavour: Flavour::Fexit,
        programs: &[(2, "data_queue_exit")],
        doubled: true,
        needed_by: &[(TCPRcvQDrop, Blind)],
        otherwise: None,
        unless: None,
    },
    // match-proto:v5.10:net/ipv4/tcp_input.c:int tcp_send_rcvq(struct sock *sk, struct msghdr *msg, size_t size)
    Hook {
        name: "tcp_send_rcvq",
        flavour: Flavour::Fexit,
        programs: &[(3, "send_rcvq_exit")],
        doubled: true,
        needed_by: &[(TCPRcvQDrop, Derived), (TCPOFODrop, Derived)],
        otherwise: None,
        unless: None,
    },
    Hook {
        name: "tcp_send_rcvq",
        flavour: Flavour::Fentry,
        programs: &[(3, "send_rcvq_enter")],
        doubled: true,
        needed_by: &[(TCPRcvQDrop, Derived), (TCPOFODrop, Derived)],
        otherwise: None,
        unless: None,
    },
    // match-proto:v5.10:net/ipv4/tcp_output.c:void sk_forced_mem_schedule(struct sock *sk, int size)
    Hook {
        name: "sk_forced_mem_schedule",
        flavour: Flavour::Fentry,
        programs: &[(2, "forced_enter")],
        doubled: true,
        needed_by: &[(TCPRcvQDrop, Derived)],
        otherwise: None,
        unless: None,
    },
    // match-proto:v5.10:net/ipv4/tcp_input.c:static int tcp_try_rmem_schedule(struct sock *sk, struct sk_buff *skb, unsigned int size)
    Hook {
        name: "tcp_try_rmem_schedule",
        flavour: Flavour::Fexit,
        programs: &[(3, "rmem_exit")],
        doubled: true,
        needed_by: EVERYTHING,
        otherwise: None,
        unless: None,
    },
    Hook {
        name: "tcp_try_rmem_schedule",
        flavour: Flavour::Fentry,
        programs: &[(3, "rmem_enter")],
        doubled: true,
        needed_by: EVERYTHING,
        otherwise: None,
        unless: None,
    },
    // match-proto:v5.10:net/ipv4/tcp_input.c:static int tcp_prune_queue(struct sock *sk)
    Hook {
        name: "tcp_prune_queue",
        flavour: Flavour::Fentry,
        programs: &[(1, "prune_enter"), (2, "prune_enter")],
        doubled: true,
        needed_by: &[],
        otherwise: Some("its calls are told exactly by what happens within tcp_try_rmem_schedule"),
        unless: None,
    },
    // match-proto:v5.10:net/ipv4/tcp_input.c:static bool tcp_prune_ofo_queue(struct sock *sk)
    // match-proto:v6.12:net/ipv4/tcp_input.c:static bool tcp_prune_ofo_queue(struct sock *sk, const struct sk_buff *in_skb)
    Hook {
        name: "tcp_prune_ofo_queue",
        flavour: Flavour::Fexit,
        programs: &[(1, "prune_ofo_exit_1"), (2, "prune_ofo_exit_2")],
        doubled: true,
        needed_by: &[
            (OfoPruned, Blind),
            (PruneCalled, Derived),
            (RcvPruned, Derived),
        ],
        otherwise: None,
        unless: None,
    },
    // match-proto:v5.10:net/ipv4/tcp_input.c:static struct sk_buff *tcp_collapse_one(struct sock *sk, struct sk_buff *skb, struct sk_buff_head *list, struct rb_root *root)
    Hook {
        name: "tcp_collapse_one",
        flavour: Flavour::Fentry,
        programs: &[(4, "collapse_one_enter")],
        doubled: true,
        needed_by: &[(TCPRcvCollapsed, Blind), (PruneCalled, Derived)],
        otherwise: None,
        unless: None,
    },
    // match-proto:v5.10:net/core/sock.c:int __sk_mem_schedule(struct sock *sk, int size, int kind)
    Hook {
        name: "__sk_mem_schedule",
        flavour: Flavour::Fexit,
        programs: &[(3, "schedule_exit")],
        doubled: true,
        needed_by: &[
            (PruneCalled, Derived),
            (RcvPruned, Derived),
            (TCPRcvQDrop, Derived),
            (TCPOFODrop, Derived),
        ],
        otherwise: Some("refusals by tcp_mem and by a memory cgroup are not seen"),
        unless: None,
    },
    Hook {
        name: "sock_exceed_buf_limit",
        flavour: Flavour::TpBtf,
        programs: &[(0, "exceed_buf_limit")],
        doubled: false,
        needed_by: &[],
        otherwise: Some("which limit refused is unknown unless it was the receive buffer"),
        unless: None,
    },
    // match-proto:v6.18:mm/memcontrol.c:bool mem_cgroup_sk_charge(const struct sock *sk, unsigned int nr_pages, gfp_t gfp_mask)
    Hook {
        name: "mem_cgroup_sk_charge",
        flavour: Flavour::Fexit,
        programs: &[(3, "sk_charge_exit")],
        doubled: false,
        needed_by: &[],
        otherwise: Some("a refusal by a memory cgroup is labelled unknown"),
        unless: Some("mem_cgroup_charge_skmem"),
    },
    // match-proto:v5.10:mm/memcontrol.c:bool mem_cgroup_charge_skmem(struct mem_cgroup *memcg, unsigned int nr_pages)
    // match-proto:v6.1:mm/memcontrol.c:bool mem_cgroup_charge_skmem(struct mem_cgroup *memcg, unsigned int nr_pages, gfp_t gfp_mask)
    Hook {
        name: "mem_cgroup_charge_skmem",
        flavour: Flavour::Fexit,
        programs: &[(2, "charge_skmem_exit_short"), (3, "charge_skmem_exit")],
        doubled: false,
        needed_by: &[],
        otherwise: Some("a refusal by a memory cgroup is labelled unknown"),
        unless: Some("mem_cgroup_sk_charge"),
    },
];
