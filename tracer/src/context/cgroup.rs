//! Everything that one cgroup tells of waiting, at one time.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    cpu::{self, CpuTime},
    io::IoDone,
    memory::{self, Reclaim, Usage},
    psi::Pressure,
};
use crate::{attribute::hierarchies, indicators::memcg::Events};

/// Where the hierarchies of cgroups are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The default hierarchy (v2).
    pub unified: Option<PathBuf>,
    /// Hierarchies of v1 controllers.
    pub v1: V1,
}

/// Hierarchies of v1 controllers, where they are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct V1 {
    /// CPU bandwidth.
    pub cpu: Option<PathBuf>,
    /// CPU time used.
    pub cpuacct: Option<PathBuf>,
    /// Memory.
    pub memory: Option<PathBuf>,
    /// Block devices.
    pub blkio: Option<PathBuf>,
}

impl Roots {
    /// Looks for them below the folder where hierarchies are mounted.
    #[must_use]
    pub fn find(cgroup_root: &Path, proc: &Path) -> Self {
        let unified = hierarchies::find_root(cgroup_root, proc);
        // A cgroup may be called as a controller is: below a v2 root there are none.
        let is_v1 =
            |name: &str| unified.as_deref() != Some(cgroup_root) && cgroup_root.join(name).is_dir();
        let v1 = |names: [&str; 2]| {
            let name = names.into_iter().find(|name| is_v1(name))?;
            Some(cgroup_root.join(name))
        };
        Self {
            v1: V1 {
                cpu: v1(["cpu", "cpu,cpuacct"]),
                cpuacct: v1(["cpuacct", "cpu,cpuacct"]),
                memory: v1(["memory", "memory"]),
                blkio: v1(["blkio", "blkio"]),
            },
            unified,
        }
    }

    /// Folders of a cgroup that list its processes, the default hierarchy first.
    #[must_use]
    pub fn folders(&self, path: &str) -> Vec<PathBuf> {
        let roots = [&self.unified, &self.v1.memory, &self.v1.cpu];
        let roots = roots.into_iter().flatten();
        roots.map(|root| folder(root, path)).collect()
    }
}

/// One cgroup at one time. What it does not have, or may not be read, is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When it was read.
    pub at: Instant,
    /// Pressure on disks, CPU and memory.
    pub io_psi: Option<Pressure>,
    /// Of CPU.
    pub cpu_psi: Option<Pressure>,
    /// Of memory.
    pub memory_psi: Option<Pressure>,
    /// IO done.
    pub io: IoDone,
    /// CPU time.
    pub cpu: CpuTime,
    /// Quota, as a number of CPUs.
    pub quota_cpus: Option<f64>,
    /// Memory charged, and limits.
    pub usage: Usage,
    /// Memory events, those of cgroups below it as well.
    pub events: Events,
    /// Reclaim.
    pub reclaim: Reclaim,
}

/// Reads a cgroup by its path from the root of its hierarchy; `None` where no hierarchy has it (any more).
#[must_use]
pub fn read(roots: &Roots, path: &str) -> Option<Reading> {
    let unified = roots.unified.as_deref().map(|root| folder(root, path));
    let unified = unified.filter(|folder| folder.is_dir());
    let of_v1 = |root: &Option<PathBuf>| {
        let folder = folder(root.as_deref()?, path);
        folder.is_dir().then_some(folder)
    };
    let (v1_cpu, v1_memory) = (of_v1(&roots.v1.cpu), of_v1(&roots.v1.memory));
    let (v1_cpuacct, v1_blkio) = (of_v1(&roots.v1.cpuacct), of_v1(&roots.v1.blkio));
    let places = [&unified, &v1_cpu, &v1_memory, &v1_cpuacct, &v1_blkio];
    if places.iter().all(|place| place.is_none()) {
        return None;
    }
    let at = Instant::now();
    let text = |name: &str| text(unified.as_deref(), name);
    let psi = |name: &str| Pressure::parse(&text(name)?);
    let mut reading = Reading {
        at,
        io_psi: psi("io.pressure"),
        cpu_psi: psi("cpu.pressure"),
        memory_psi: psi("memory.pressure"),
        io: text("io.stat")
            .map(|text| IoDone::parse(&text))
            .unwrap_or_default(),
        cpu: text("cpu.stat")
            .map(|text| CpuTime::parse(&text))
            .unwrap_or_default(),
        quota_cpus: text("cpu.max").and_then(|text| cpu::quota(&text)),
        usage: Usage::parse(
            &text("memory.current").unwrap_or_default(),
            &text("memory.max").unwrap_or_default(),
            &text("memory.high").unwrap_or_default(),
        ),
        events: text("memory.events")
            .map(|text| Events::parse(&text))
            .unwrap_or_default(),
        reclaim: text("memory.stat")
            .map(|text| Reclaim::parse(&text))
            .unwrap_or_default(),
    };
    if let Some(folder) = v1_cpu {
        reading.add_v1_cpu(&folder, v1_cpuacct.as_deref());
    }
    if let Some(folder) = v1_memory {
        reading.add_v1_memory(&folder);
    }
    if let Some(folder) = v1_blkio {
        let of = |name| self::text(Some(&folder), name);
        let files = of("blkio.throttle.io_service_bytes").zip(of("blkio.throttle.io_serviced"));
        if let Some((bytes, operations)) = files {
            reading.io = IoDone::parse_v1(&bytes, &operations);
        }
    }
    Some(reading)
}

impl Reading {
    fn add_v1_cpu(&mut self, folder: &Path, cpuacct: Option<&Path>) {
        let of = |name| text(Some(folder), name).unwrap_or_default();
        let usage = text(cpuacct, "cpuacct.usage").unwrap_or_default();
        self.cpu = CpuTime::parse_v1(&of("cpu.stat"), &usage);
        self.quota_cpus = cpu::cpus(&of("cpu.cfs_quota_us"), &of("cpu.cfs_period_us"));
    }

    fn add_v1_memory(&mut self, folder: &Path) {
        let of = |name| text(Some(folder), name).unwrap_or_default();
        self.usage = Usage::parse_v1(&of("memory.usage_in_bytes"), &of("memory.limit_in_bytes"));
        self.events = memory::events_v1(&of("memory.failcnt"), &of("memory.oom_control"));
        self.reclaim = Reclaim::parse_v1(&of("memory.stat"));
    }
}

fn folder(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// A file of a cgroup. A name in it need not be UTF-8 on hosts that lie.
fn text(folder: Option<&Path>, name: &str) -> Option<String> {
    let bytes = fs::read(folder?.join(name)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A cgroup and all above it up to the root, which has no limits, the deepest first.
#[must_use]
pub fn lineage(path: &str) -> Vec<String> {
    let mut lineage = Vec::new();
    let mut rest = path.trim_end_matches('/');
    // A path that climbs is none of a cgroup.
    if rest.split('/').any(|part| part == "..") {
        return lineage;
    }
    while let Some((above, name)) = rest.rsplit_once('/') {
        if !name.is_empty() {
            lineage.push(rest.to_owned());
        }
        rest = above;
    }
    lineage
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_v2_cgroup_is_read_whole() {
        let machine = Fixture::new();
        let roots = Roots {
            unified: Some(machine.path().into()),
            v1: V1::default(),
        };
        machine
            .file("pod/cpu.pressure", "some avg10=0.00 total=5\n")
            .file("pod/cpu.stat", "usage_usec 2\nnr_periods 3\n")
            .file("pod/cpu.max", "50000 100000\n")
            .file("pod/io.stat", "8:0 rbytes=7 wbytes=1 rios=1 wios=1\n")
            .file("pod/memory.current", "10\n")
            .file("pod/memory.max", "20\n")
            .file("pod/memory.events", "max 4\n")
            .file("pod/memory.stat", "pgscan 6\n");
        let reading = read(&roots, "/pod").unwrap();
        assert_eq!(reading.cpu_psi.unwrap().some_us, 5);
        assert_eq!(reading.memory_psi, None, "there is no such file");
        assert_eq!(
            (reading.cpu.usage_ns, reading.cpu.periods),
            (Some(2_000), Some(3))
        );
        assert_eq!(reading.quota_cpus, Some(0.5));
        assert_eq!(reading.io.read_bytes, Some(7));
        assert_eq!(reading.usage.fill(), Some(0.5));
        assert_eq!(
            (reading.events.max, reading.reclaim.scanned_pages),
            (Some(4), Some(6))
        );
        assert_eq!(read(&roots, "/gone"), None);
    }

    #[test]
    fn v1_controllers_stand_in() {
        let machine = Fixture::new();
        machine
            .file("cpu,cpuacct/pod/cpu.stat", "nr_periods 3\nnr_throttled 2\n")
            .file("cpu,cpuacct/pod/cpuacct.usage", "99\n")
            .file("cpu,cpuacct/pod/cpu.cfs_quota_us", "20000\n")
            .file("cpu,cpuacct/pod/cpu.cfs_period_us", "100000\n")
            .file("memory/pod/memory.usage_in_bytes", "10\n")
            .file("memory/pod/memory.limit_in_bytes", "10\n")
            .file("memory/pod/memory.failcnt", "7\n");
        let roots = Roots::find(machine.path(), machine.path());
        assert_eq!(roots.unified, None);
        let reading = read(&roots, "/pod").unwrap();
        assert_eq!(
            (reading.cpu.usage_ns, reading.cpu.throttled_periods),
            (Some(99), Some(2))
        );
        assert_eq!(reading.quota_cpus, Some(0.2));
        assert_eq!(
            (reading.usage.fill(), reading.events.max),
            (Some(1.0), Some(7))
        );
        assert_eq!((reading.io_psi, reading.io.read_bytes), (None, None));
        let memory = machine.path().join("memory/pod");
        assert_eq!(roots.folders("/pod")[0], memory);
    }

    #[test]
    fn files_full_of_rubbish_are_absent() {
        let machine = Fixture::new();
        let roots = Roots {
            unified: Some(machine.path().into()),
            v1: V1::default(),
        };
        for name in [
            "cpu.stat",
            "cpu.max",
            "io.pressure",
            "memory.current",
            "memory.events",
        ] {
            machine.file(&format!("pod/{name}"), "\0\u{fffd} =\n some total\n\n-1");
        }
        let reading = read(&roots, "pod").unwrap();
        assert_eq!((reading.io_psi, reading.quota_cpus), (None, None));
        assert_eq!(
            (reading.cpu, reading.usage),
            (CpuTime::default(), Usage::default())
        );
        assert_eq!(reading.events, Events::default());
    }

    #[test]
    fn lineage_ends_below_the_root() {
        assert_eq!(lineage("/a/b/c"), ["/a/b/c", "/a/b", "/a"]);
        assert_eq!(lineage("/"), Vec::<String>::new());
        assert_eq!(lineage(""), Vec::<String>::new());
        assert_eq!(lineage("/a/../../etc"), Vec::<String>::new());
    }
}
