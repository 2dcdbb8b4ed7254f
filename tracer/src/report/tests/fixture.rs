//! A small node made by hand: pods with cgroups, sockets, tallies. Defaults are a quiet node.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use jiff::Timestamp;
use tracer_common::{
    ABI_VERSION, Compared, EventRecord, SocketState, TallyKey, TallyValue, TimelineRecord, Tuple,
    lost, tally::slot,
};

use crate::{
    aggregate::{Delta, Group, steps::Step},
    attribute::{
        ContainerFacts, Descriptor, Owner, OwnerKind, PodFacts, Source,
        contact::Contact,
        workload::{Workload, WorkloadKind},
    },
    capture::{self, Capture},
    holders::{Scan, Socket, TcpState, socket::SocketMemory},
    indicators::{Counter, Row, RowState, Sockstat, TcpMemory, memcg::Pressed},
    kernel::plan::{CounterSight, Flavour, Plan, Probe, Sight},
    report::{AtRest, Context, Inputs, Node, Report, Window, build, inputs::MAX_OWNERS},
};

/// Size of a page on the made node.
pub(crate) const PAGE: u64 = 4096;
/// Start of the window: 2026-03-14T15:09:26Z.
const START: i64 = 1_773_500_966;
/// Length of the window: 10 s.
pub(crate) const WINDOW_NS: u64 = 10_000_000_000;

/// Cgroup ids.
pub(crate) const LEAKY: u64 = 101;
pub(crate) const REDIS: u64 = 202;
pub(crate) const REDIS_SIDECAR: u64 = 203;
pub(crate) const WEB: u64 = 303;

/// Everything that [`Inputs`] borrows.
pub(crate) struct Fixture {
    pub(crate) node: Node,
    pub(crate) plan: Plan,
    pub(crate) duration_ns: u64,
    pub(crate) traced: bool,
    pub(crate) deltas: Vec<Delta>,
    pub(crate) owners: BTreeMap<u64, Owner>,
    pub(crate) start: Option<Scan>,
    pub(crate) peak: Option<Scan>,
    pub(crate) end: Option<Scan>,
    pub(crate) memory: TcpMemory,
    pub(crate) rows: Vec<Row>,
    pub(crate) netns_owners: BTreeMap<u32, BTreeSet<Owner>>,
    pub(crate) losses: [u64; lost::COUNT as usize],
    pub(crate) possible_misses: Option<u64>,
    pub(crate) runtimes: Vec<String>,
    pub(crate) gaps: Vec<String>,
    pub(crate) states: Vec<(u64, SocketState)>,
    pub(crate) events: Vec<EventRecord>,
    pub(crate) timeline: Vec<TimelineRecord>,
    pub(crate) orphans: Vec<(Timestamp, u64)>,
    pub(crate) steps: Vec<Step>,
    pub(crate) memcgs: Option<Vec<Pressed>>,
    pub(crate) contexts: BTreeMap<Group, Context>,
    pub(crate) descriptors: BTreeMap<u32, Descriptor>,
    pub(crate) memory_stats: BTreeMap<Group, u64>,
}

impl Fixture {
    /// Three pods, one of them with two containers; nothing happens.
    pub(crate) fn quiet() -> Self {
        let owners = [
            (
                LEAKY,
                pod(
                    "shop",
                    "leaky",
                    "11111111-0000-4000-8000-000000000001",
                    "aaaa",
                ),
            ),
            (
                REDIS,
                pod(
                    "cache",
                    "redis-0",
                    "22222222-0000-4000-8000-000000000002",
                    "bbbb",
                ),
            ),
            (
                REDIS_SIDECAR,
                pod(
                    "cache",
                    "redis-0",
                    "22222222-0000-4000-8000-000000000002",
                    "cccc",
                ),
            ),
            (
                WEB,
                pod(
                    "shop",
                    "web-7",
                    "33333333-0000-4000-8000-000000000003",
                    "dddd",
                ),
            ),
        ];
        let known = [
            (LEAKY, None, "shop", "app"),
            (
                REDIS,
                Some(("redis", WorkloadKind::StatefulSet)),
                "storage",
                "redis",
            ),
            (
                REDIS_SIDECAR,
                Some(("redis", WorkloadKind::StatefulSet)),
                "storage",
                "metrics",
            ),
        ];
        let owners = owners
            .into_iter()
            .map(|(id, owner)| {
                let known = known.iter().find(|(known, ..)| *known == id);
                let owner = match known {
                    Some((_, workload, team, container)) => told(owner, *workload, team, container),
                    None => owner,
                };
                (
                    id,
                    Owner {
                        cgroup_id: Some(id),
                        ..owner
                    },
                )
            })
            .collect();
        Self {
            node: Node {
                labels: BTreeMap::new(),
                k8s_node_name: Some("node-7".into()),
                host_name: "node-7.example".into(),
                boot_id: None,
                kernel: "6.1.0-32-amd64".into(),
                arch: "x86_64".into(),
                page_size_bytes: PAGE,
                cpus: 2,
                memory_available_bytes: Some(1 << 30),
            },
            plan: plan(),
            duration_ns: WINDOW_NS,
            traced: true,
            deltas: Vec::new(),
            owners,
            start: Some(Scan::default()),
            peak: None,
            end: Some(Scan::default()),
            memory: TcpMemory {
                page_size: PAGE,
                tcp_mem: Some([6_000, 8_000, 12_000]),
                sockstat_pages: Some(1_200),
                reserve_pages: Some(512),
                alloc: Some(40),
                orphan: Some(0),
                orphan_max: Some(8192),
                pressure: Some(false),
            },
            rows: rows(Some(0)),
            netns_owners: BTreeMap::new(),
            losses: [0; lost::COUNT as usize],
            possible_misses: Some(0),
            runtimes: vec!["containerd 1.7.24 at /run/containerd/containerd.sock".into()],
            gaps: Vec::new(),
            states: Vec::new(),
            events: Vec::new(),
            timeline: Vec::new(),
            orphans: Vec::new(),
            steps: Vec::new(),
            memcgs: None,
            contexts: BTreeMap::new(),
            descriptors: BTreeMap::new(),
            memory_stats: BTreeMap::new(),
        }
    }

    /// Counts for one cgroup.
    pub(crate) fn tally(&mut self, cgroup: u64, fill: impl FnOnce(&mut TallyValue)) {
        let mut value = TallyValue::ZERO;
        fill(&mut value);
        self.deltas.push(Delta {
            key: key(cgroup),
            value,
        });
    }

    /// `many` sockets of one cgroup at the end of the window.
    pub(crate) fn sockets(
        &mut self,
        cgroup: u64,
        many: u32,
        state: TcpState,
        memory: SocketMemory,
    ) {
        let scan = self.end.get_or_insert_default();
        scan.sockets
            .extend((0..many).map(|n| socket(cgroup, n, state, memory)));
    }

    /// Sets what the kernel and we counted in one namespace.
    pub(crate) fn row(&mut self, counter: Counter, kernel: Option<u64>, attributed: Option<u64>) {
        for row in self.rows.iter_mut().filter(|row| row.counter == counter) {
            row.kernel = kernel;
            row.attributed = attributed;
        }
    }

    /// The report.
    pub(crate) fn report(&self) -> Report {
        let report = self.with_inputs(build);
        // Whatever is reported can be captured, and replayed to the same report.
        assert_eq!(
            capture::tests::replay(&self.with_inputs(Capture::of)),
            report
        );
        report
    }

    /// Everything that its report is made from.
    pub(crate) fn with_inputs<T>(&self, of: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let by_cgroup = |id: u64| {
            let unknown = Owner {
                cgroup_id: Some(id),
                ..Owner::of_kind(OwnerKind::Unknown)
            };
            self.owners.get(&id).cloned().unwrap_or(unknown)
        };
        let (start_scan, end_scan) = (self.start.clone(), self.end.clone());
        let pages = self.memory.sockstat_pages.unwrap_or(0);
        let end_ns = i64::try_from(self.duration_ns / 1_000_000_000).unwrap();
        let start = Timestamp::from_second(START).unwrap();
        let end = Timestamp::from_second(START + end_ns).unwrap();
        let start_scan = start_scan.map(|scan| account(scan, pages, start));
        let end_scan = end_scan.map(|scan| account(scan, pages, end));
        of(&Inputs {
            version: "0.1.0",
            window: Window {
                start,
                end,
                duration_ns: self.duration_ns,
            },
            node: &self.node,
            plan: &self.plan,
            traced: self.traced,
            deltas: &self.deltas,
            owner_of_key: &|key| by_cgroup(key.cgroup_id),
            owner_of_socket: &|socket| by_cgroup(socket.cgroup_id.unwrap_or(0)),
            descriptor_of_socket: &|socket| self.descriptors.get(&socket.inode).cloned(),
            memory_stats: &self.memory_stats,
            scan_start: start_scan.as_ref(),
            peak: self.peak.as_ref().map(|scan| (scan, &self.memory)),
            scan_end: end_scan.as_ref(),
            memory_start: &self.memory,
            memory_end: &self.memory,
            rows: &self.rows,
            at_rest: AtRest::default(),
            netns_owners: &self.netns_owners,
            losses: self.losses,
            selfcheck: None,
            recursion_misses: Some(&[]),
            possible_misses: self.possible_misses,
            top: MAX_OWNERS,
            runtimes: &self.runtimes,
            gaps: &self.gaps,
            damage: None,
            socket_states: &self.states,
            events: &self.events,
            timeline: &self.timeline,
            orphans: &self.orphans,
            steps: &self.steps,
            memcgs: self.memcgs.as_deref(),
            contexts: &self.contexts,
            maps: None,
            wall_clock: &|ns| {
                Timestamp::from_nanosecond(i128::from(START) * 1_000_000_000 + i128::from(ns))
                    .unwrap()
            },
        })
    }
}

/// Gives a scan its time, and, if it has none, the node's account: as many sockets as it has, and not less memory than these hold.
fn account(mut scan: Scan, pages: u64, at: Timestamp) -> Scan {
    scan.at = scan.at.or(Some(at));
    if scan.around == [Sockstat::default(); 2] {
        let total = scan.total();
        let sockstat = Sockstat {
            alloc: Some(total.full),
            mem: Some(total.held.div_ceil(PAGE).max(pages)),
            ..Sockstat::default()
        };
        scan.around = [sockstat; 2];
    }
    scan
}

/// A container of a pod, as containerd under the systemd driver makes it.
pub(crate) fn pod(namespace: &str, name: &str, uid: &str, container: &str) -> Owner {
    let slice = uid.replace('-', "_");
    Owner {
        namespace: Some(namespace.into()),
        pod: Some(name.into()),
        pod_uid: Some(uid.into()),
        container_id: Some(container.repeat(16)),
        qos: Some("burstable".into()),
        cgroup_path: Some(format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-{container}.scope"
        )),
        source: Some(Source::PodLogs),
        found: Some(Source::CgroupPath),
        ..Owner::of_kind(OwnerKind::Pod)
    }
}

/// The same with what a container runtime tells of it.
fn told(
    owner: Owner,
    workload: Option<(&str, WorkloadKind)>,
    team: &str,
    container: &str,
) -> Owner {
    let app = workload.map_or(container, |(name, _)| name);
    let workload = workload.map(|(name, kind)| Workload {
        kind: Some(kind),
        name: name.into(),
    });
    let contact = Contact {
        key: "team".into(),
        value: team.into(),
    };
    Owner {
        about_pod: Some(Arc::new(PodFacts {
            workload,
            labels: [
                ("app".to_owned(), app.to_owned()),
                ("team".to_owned(), team.to_owned()),
            ]
            .into(),
            contact: vec![contact],
            sandbox: None,
        })),
        about_container: Some(Arc::new(ContainerFacts {
            name: Some(container.into()),
            image: Some(format!("registry.example/{container}:1")),
        })),
        ..owner
    }
}

/// The key of a cgroup: each has a network namespace of its own, but containers of one pod share theirs.
pub(crate) fn key(cgroup: u64) -> TallyKey {
    TallyKey {
        cgroup_id: cgroup,
        memcg_id: cgroup,
        netns_cookie: netns(cgroup).into(),
        netns_inum: netns(cgroup),
        reserved: 0,
    }
}

/// The namespace of a cgroup.
pub(crate) fn netns(cgroup: u64) -> u32 {
    4_026_532_000 + u32::try_from(cgroup / 100).unwrap()
}

/// One socket; reads nothing, with two thirds of its receive memory as payload.
pub(crate) fn socket(cgroup: u64, n: u32, state: TcpState, memory: SocketMemory) -> Socket {
    let port = u16::try_from(40_000 + n).unwrap();
    Socket {
        netns_inum: netns(cgroup),
        local: SocketAddr::from(([10, 0, 0, 1], 8080)),
        remote: SocketAddr::from(([10, 0, 9, 9], port)),
        state,
        inode: 7_000 + n,
        cookie: cgroup * 10_000 + u64::from(n),
        cgroup_id: Some(cgroup),
        memory: Some(memory),
        clamped: None,
        idle_ms: None,
        listed: true,
        unread: memory.rmem_alloc / 3 * 2,
        unsent: 0,
    }
}

/// Memory that lies in the receive queue.
pub(crate) fn received(bytes: u32) -> SocketMemory {
    SocketMemory {
        rmem_alloc: bytes,
        rcvbuf: 131_072,
        ..SocketMemory::default()
    }
}

/// A failure at `at_ns` within the window.
pub(crate) fn event(cgroup: u64, at_ns: u64, queue: usize, limit: usize) -> EventRecord {
    let mut local = [0; 16];
    local[..4].copy_from_slice(&[10, 0, 0, 1]);
    let mut remote = [0; 16];
    remote[..4].copy_from_slice(&[10, 0, 9, 9]);
    EventRecord {
        abi: ABI_VERSION,
        size: u32::try_from(size_of::<EventRecord>()).unwrap(),
        at_ns,
        stall_ns: 25_000,
        cookie: cgroup * 10_000,
        owner: key(cgroup),
        tuple: Tuple {
            local,
            remote,
            family: 2,
            local_port: 6379,
            remote_port: 40_000,
            state: 1,
        },
        queue: u32::try_from(queue).unwrap(),
        limit: u32::try_from(limit).unwrap(),
        rmem_alloc: 65_536,
        rcvbuf: 65_536,
        skb_len: 1_448,
        skb_truesize: 2_304,
        unread: 49_152,
        collapsed: 0,
        ofo_pruned: 0,
        pruned: 1,
        ofo_empty: u32::MAX,
        ofo_bytes: u32::MAX,
        compared: Compared::NOTHING,
    }
}

/// Sets one verdict of a tally.
pub(crate) fn refuse(value: &mut TallyValue, queue: usize, limit: usize, count: u64) {
    value.verdicts[slot(queue, limit)] = count;
}

/// One namespace whose counters all say the same on both sides.
fn rows(count: Option<u64>) -> Vec<Row> {
    Counter::ALL
        .into_iter()
        .map(|counter| Row {
            netns_inum: netns(REDIS),
            netns_cookie: None,
            counter,
            kernel: count,
            attributed: count,
            bound: Some(0),
            state: RowState::Present,
        })
        .collect()
}

/// A plan in which everything is exact.
fn plan() -> Plan {
    let probe = |hook: &str, flavour| Probe {
        hook: hook.into(),
        flavour,
        programs: vec![format!("{hook}_{}", flavour.name())],
        missing: None,
        counts: true,
    };
    Plan {
        probes: vec![
            probe("tcp_try_rmem_schedule", Flavour::Fexit),
            probe("tcp_prune_ofo_queue", Flavour::Fexit),
            Probe {
                hook: "tcp_prune_queue".into(),
                flavour: Flavour::Fexit,
                programs: Vec::new(),
                missing: Some("inlined by this kernel".into()),
                counts: true,
            },
        ],
        counters: Counter::ALL
            .into_iter()
            .map(|counter| CounterSight {
                counter,
                sight: Sight::Exact,
                why: None,
            })
            .collect(),
        impossible: None,
        ..Plan::default()
    }
}
