//! Memory cgroups under pressure at the end of a window, with the windows of their sockets.

use std::collections::BTreeSet;

use crate::{
    aggregate::group,
    attribute::{Attributor, Sources},
    holders::{self, Scan, Socket},
    indicators::memcg::{Pressed, Readings},
};

/// Network namespaces whose sockets are asked for their windows at most.
const MAX_NAMESPACES: usize = 32;

/// The memory cgroups to which something happened between two readings; `None` where none can be made. Without a scan their sockets
/// are not asked for their windows.
pub(super) fn pressed(
    sources: &Sources,
    attributor: &Attributor,
    before: Option<&Readings>,
    after: Option<&Readings>,
    scan: Option<&Scan>,
) -> Option<Vec<Pressed>> {
    let mut pressed = sources.pressed(attributor, before?, after?)?;
    let Some(scan) = scan else {
        return Some(pressed);
    };
    let is_in = |socket: &Socket, cgroup: &Pressed| {
        let path = socket.cgroup_id.and_then(|id| attributor.cgroups.path(id));
        let root = attributor.cgroups.path(cgroup.id);
        path.zip(root)
            .is_some_and(|(path, root)| group::is_within(path, root))
    };
    let wanted: BTreeSet<u32> = scan
        .examples()
        .filter(|socket| pressed.iter().any(|cgroup| is_in(socket, cgroup)))
        .map(|socket| socket.netns_inum)
        .collect();
    if wanted.is_empty() || wanted.len() > MAX_NAMESPACES {
        return Some(pressed);
    }
    if let Some(windows) = holders::windows(&sources.proc, &wanted) {
        let clamped = |socket: &&Socket| socket.clamped == Some(true);
        let clamped: Vec<&Socket> = windows.iter().filter(clamped).collect();
        for cgroup in &mut pressed {
            let in_it = clamped.iter().filter(|socket| is_in(socket, cgroup));
            cgroup.windows_clamped = Some(in_it.count() as u64);
        }
    }
    Some(pressed)
}
