//! What is read of those who hold most, once it is known who they are: a second witness of their memory, and the descriptors of
//! their largest sockets.

use std::collections::{BTreeMap, HashSet};

use crate::{
    aggregate::{Group, Holding, group, holding},
    attribute::{Attributor, Sources},
    holders::Scan,
    report::inputs::MAX_OWNERS,
};

/// `sock` of `memory.stat` of each, in bytes; the descriptors go to the attributor, `quick` only those that are found soon.
pub(super) fn look(
    sources: &Sources,
    attributor: &mut Attributor,
    scan: &Scan,
    quick: bool,
) -> BTreeMap<Group, u64> {
    let groups = holding::by_group(scan, &|socket| attributor.owner_of_socket(socket));
    let mut largest: Vec<(Group, Holding)> = groups.into_iter().collect();
    largest.sort_by_key(|(_, holding)| std::cmp::Reverse(holding.total().held));
    largest.truncate(MAX_OWNERS);
    let paths = largest.iter().filter_map(|(group, holding)| {
        let owner = group::representative(&holding.owners);
        Some((group.clone(), owner.cgroup_path?))
    });
    let stats = sources.memory_stats(attributor, paths);
    let top = largest.iter().flat_map(|(_, holding)| &holding.top);
    let wanted: HashSet<u32> = top.map(|socket| socket.inode).collect();
    sources.find_descriptors(attributor, &wanted, quick);
    stats
}
