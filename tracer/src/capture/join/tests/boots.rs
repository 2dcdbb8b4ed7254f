//! What numbers mean ends with the machine that gave them.

use super::*;
use crate::capture::join::rows;

/// A window in which one pod has the cgroup, and is refused so many segments.
fn of_run(boot: &str, number: u64, owner: u64, refused: u64) -> Capture {
    let mut capture = ticking(number, 10);
    capture.header.node.boot_id = Some(boot.into());
    let name = capture.names[&key(REDIS)];
    let owner = Fixture::quiet().owners[&owner].clone();
    capture.owners.insert(name, owner);
    let value = &mut capture.tallies[0].value;
    value.verdicts = TallyValue::ZERO.verdicts;
    value.verdicts[slot(queue::OFO, limit::RCVBUF)] = refused;
    capture.steps.clear();
    capture
}

#[test]
fn numbers_of_a_machine_that_was_started_anew_mean_others() {
    let seen = |boot, number, owner| of_run(boot, number, owner, 30);
    // A window of the later run in which nobody has the number yet.
    let mut empty = seen("two", 1, REDIS);
    empty.names.clear();
    empty.tallies.clear();
    let runs: [&[Capture]; 4] = [
        &[seen("one", 0, REDIS), seen("two", 1, LEAKY)],
        &[seen("one", 0, REDIS), empty.clone(), seen("two", 2, LEAKY)],
        &[
            seen("one", 0, REDIS),
            seen("two", 1, LEAKY),
            empty,
            seen("three", 3, WEB),
        ],
        // The same pod in both runs is still one.
        &[seen("one", 0, WEB), seen("two", 1, WEB)],
    ];
    let want: [&[(&str, u64)]; 4] = [
        &[("cache/redis-0", 30), ("shop/leaky", 30)],
        &[("cache/redis-0", 30), ("shop/leaky", 30)],
        &[
            ("cache/redis-0", 30),
            ("shop/leaky", 30),
            ("shop/web-7", 30),
        ],
        &[("shop/web-7", 60)],
    ];
    for (windows, want) in runs.into_iter().zip(want) {
        let joined = windows.iter().cloned().reduce(|mut all, next| {
            all.join(next);
            // As after each minute that was written and read again.
            crate::capture::parse(lines(&all).as_slice()).unwrap()
        });
        let report = joined.unwrap().report();
        let mut names: Vec<_> = report
            .victims
            .iter()
            .map(|victim| (victim.owner.name.as_str(), victim.refused()))
            .collect();
        names.sort();
        assert_eq!(names, want);
        let series = report.series.unwrap();
        let mut sums: Vec<u64> = series
            .owners
            .iter()
            .map(|owner| owner.refused.iter().sum())
            .collect();
        sums.sort();
        assert_eq!(sums, want.iter().map(|it| it.1).collect::<Vec<_>>());
    }
}

#[test]
fn one_number_in_very_many_runs_means_as_many() {
    let mut joined = of_run("0", 0, REDIS, 1);
    for run in 1..300 {
        joined.join(of_run(&run.to_string(), run, REDIS, 1));
    }
    assert_eq!(joined.tallies.len(), 300);
    assert_eq!(refused(&joined.report()), 300);
}

#[test]
fn sockets_of_two_runs_of_a_machine_are_not_mixed_up() {
    let hold = |boot: &str, owner: u64, many| {
        let mut node = Fixture::quiet();
        let memory = crate::holders::socket::SocketMemory {
            rmem_alloc: 1 << 20,
            ..Default::default()
        };
        node.sockets(REDIS, many, crate::holders::TcpState::CloseWait, memory);
        let owner = node.owners[&owner].clone();
        node.owners.insert(REDIS, owner);
        let mut capture = node.with_inputs(Capture::of);
        capture.header.node.boot_id = Some(boot.into());
        // By the inode alone, as where the kernel does not tell cgroups of sockets.
        let owners = std::mem::take(&mut capture.socket_owners).into_iter();
        capture.socket_owners = owners.map(|(kin, to)| ((None, kin.1, kin.2), to)).collect();
        let sockets = capture
            .scans
            .values_mut()
            .flat_map(|scan| &mut scan.sockets);
        sockets.for_each(|socket| socket.cgroup_id = None);
        capture
    };
    let nothing = |boot: &str| {
        let mut capture = hold(boot, REDIS, 0);
        capture.move_by(SignedDuration::from_secs(10));
        capture
    };
    // The later runs use the numbers at once, or not yet.
    for between in [
        vec![],
        vec![nothing("two")],
        vec![nothing("one and a half"), nothing("two")],
    ] {
        let mut joined = hold("one", LEAKY, 100);
        for window in between {
            joined.join(window);
        }
        let mut later = hold("two", WEB, 3);
        later.move_by(SignedDuration::from_secs(20));
        joined.join(later);
        // The first run held more than twice as much, so its last look speaks.
        let report = joined.report();
        assert_eq!(report.holders[0].owner.name, "shop/leaky");
        assert_eq!(report.holders[0].held_bytes, 100 << 20);
        joined.scans.remove(&Moment::Peak);
        let report = joined.report();
        assert_eq!(report.holders[0].owner.name, "shop/web-7");
        assert_eq!(report.holders[0].held_bytes, 3 << 20);
    }
}

#[test]
fn namespaces_end_with_the_machine_whose_numbers_and_cookies_they_had() {
    use RowState::{Born, Gone, Present};
    for cookie in [0, 2] {
        let mut all = vec![row(5, cookie, Present, Some(3), 3)];
        rows::join(&mut all, Vec::new(), true);
        rows_of(&mut all, &[row(5, cookie, Born, Some(7), 7)]);
        rows_of(&mut all, &[row(5, cookie, Present, Some(1), 1)]);
        rows::join(&mut all, vec![row(5, cookie, Present, Some(2), 2)], true);
        rows_of(&mut all, &[row(5, cookie, Gone, Some(1), 1)]);
        let told: Vec<_> = (all.iter())
            .map(|row| (row.state, row.kernel, row.attributed))
            .collect();
        let want = [
            (Present, Some(3), Some(3)),
            (Born, Some(8), Some(8)),
            (Present, Some(2), Some(2)),
            (Gone, Some(1), Some(1)),
        ];
        assert_eq!(told, want, "{cookie}");
    }
}
