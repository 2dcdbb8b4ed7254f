//! Why victims and culprits do not read.

use super::{
    fixture::{LEAKY, REDIS},
    golden, incident,
};
use crate::{
    aggregate::Group,
    diagnose::context,
    output::{json, table, text::is_hostile},
    report::{
        Context,
        context::{Psi, Reader, Ruling, ThreadWait, Threads, Wait},
    },
};

/// A kernel's name that lies.
const EVIL: &str = "x\x1b[2J\u{202e}";

/// One thread that did the same at ten looks; a tenth of the window in each figure that is a share is too little to be a reason.
fn one_thread(kind: Wait, channel: &str) -> Context {
    let mut context = Context {
        covers_ns: Some(10_000_000_000),
        cgroups: vec!["/kubepods.slice".into()],
        threads: Threads {
            processes: 1,
            threads: 1,
            rounds: 10,
            samples: 10,
            waits: vec![ThreadWait {
                kind,
                wait_channel: Some(channel.to_owned()),
                samples: 10,
                threads: 1,
            }],
        },
        ..Context::default()
    };
    let psi = Psi {
        some_share: Some(0.002),
        full_share: Some(0.001),
        some_avg10_share: Some(0.003),
    };
    context.io.figures.psi = Some(psi);
    context.memory.figures.psi = Some(psi);
    context.cpu.figures.psi = Some(psi);
    let network = &mut context.network.figures;
    (network.in_segments, network.out_segments) = (Some(5_000), Some(4_000));
    (network.retransmitted, network.retransmit_share) = (Some(8), Some(0.002));
    (network.out_of_order, network.out_of_order_share) = (Some(50), Some(0.01));
    context
}

#[test]
fn each_owner_has_its_own_context() {
    let mut node = incident::incident();
    let mut put = |cgroup: u64, context: Context| {
        let group = Group::of(&node.owners[&cgroup]);
        node.contexts.insert(group, context::judge(context));
    };
    put(
        LEAKY,
        Context {
            left_unread_bytes: Some(30 << 20),
            ..one_thread(Wait::Sleep, "hrtimer_nanosleep")
        },
    );
    let mut redis = Context {
        left_unread_bytes: Some(0),
        ..one_thread(Wait::Receive, EVIL)
    };
    let cpu = &mut redis.cpu.figures;
    (cpu.periods, cpu.throttled_periods) = (Some(100), Some(83));
    (cpu.quota_cpus, cpu.throttled_cgroup) = (Some(0.5), Some(EVIL.to_owned()));
    put(REDIS, redis);
    let report = node.report();
    golden::check("context", &report);

    let leak = report.culprits[0].context.as_ref().unwrap();
    assert_eq!(leak.reader, Some(Reader::Idle));
    let of = |name: &str| {
        let victim = report.victims.iter().find(|v| v.owner.name == name);
        victim.unwrap().context.as_ref().unwrap()
    };
    assert_eq!(of("shop/leaky"), leak);
    let redis = of("cache/redis-0");
    assert_eq!((redis.reader, redis.cpu.finding), (None, Ruling::Confirmed));
    let value = serde_json::to_value(&report).unwrap();
    let io = &value["culprits"][0]["context"]["io"];
    assert_eq!(io["finding"], "ruled_out");
    assert_eq!(
        io["psi"]["some_share"], 0.002,
        "figures stand beside the ruling"
    );
    for rendering in [json::pretty(&report).unwrap(), table::report(&report)] {
        let bad = rendering.chars().find(|c| *c != '\n' && is_hostile(*c));
        assert_eq!(bad, None);
    }
}

#[test]
fn words_of_a_later_version_are_not_known() {
    let later = r#"{"reader": "a_new_reason", "io": {"finding": "a_new_finding"}}"#;
    let context: Context = serde_json::from_str(later).unwrap();
    assert_eq!(context.reader, Some(Reader::Unknown));
    assert_eq!(context.io.finding, Ruling::NotKnown);
    assert_eq!(context.io.figures.psi, None);
}
