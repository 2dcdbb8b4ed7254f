//! The kernel's own answers on this machine: no BPF, and root only where it says so.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::{
        fd::AsRawFd,
        unix::{fs::MetadataExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tracer::{
    attribute::{OwnerKind, Sources},
    holders::{self, TcpState},
    indicators::{Counter, Netstat, netns, readings},
};

const PROC: &str = "/proc";

#[test]
fn own_netstat() {
    let netstat = Netstat::parse(&fs::read_to_string("/proc/net/netstat").unwrap());
    assert_eq!(netstat.errors(), []);
    for counter in Counter::ALL {
        assert!(netstat.counter(counter).is_some(), "{}", counter.name());
    }
}

/// Moves the calling thread into a new network namespace with loopback up.
fn new_netns() -> Result<u32, String> {
    // SAFETY: no pointers; only this thread, made for it, is moved.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(format!(
            "unshare(CLONE_NEWNET): {}",
            std::io::Error::last_os_error()
        ));
    }
    let link = fs::read_link("/proc/thread-self/ns/net").map_err(|error| error.to_string())?;
    let digits = link.to_string_lossy().replace("net:[", "").replace(']', "");
    loopback_up()?;
    digits.parse().map_err(|error| format!("{link:?}: {error}"))
}

fn loopback_up() -> Result<(), String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
    // SAFETY: an all-zero `ifreq` is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = (*from).cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the pointer is to a local `ifreq` that outlives the call, as SIOCSIFFLAGS wants.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) } != 0 {
        return Err(format!("lo: {}", std::io::Error::last_os_error()));
    }
    Ok(())
}

fn inode(descriptor: &impl AsRawFd) -> u64 {
    fs::metadata(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
        .unwrap()
        .ino()
}

/// A server in a namespace of its own accepts and never reads: its memory is found, and its inode.
#[test]
fn a_leak_in_another_namespace_is_found() {
    let checked = thread::spawn(|| -> Result<(), String> {
        let inum = new_netns()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(&[7; 30_000]).unwrap();
        drop(client);
        thread::sleep(Duration::from_millis(100));

        let scan = holders::scan(Path::new(PROC));
        let leaked = inode(&server);
        let Some(found) = scan
            .sockets
            .iter()
            .find(|socket| u64::from(socket.inode) == leaked)
        else {
            return Err(format!("sock_diag is not to be had: {:?}", scan.gaps));
        };
        assert_eq!(found.netns_inum, inum);
        assert_eq!(found.local, address);
        assert_eq!(found.state, TcpState::CloseWait);
        // 30,000 bytes of payload, and the FIN counts as one.
        assert_eq!(found.unread, 30_001);
        let Some(memory) = found.memory else {
            return Err(format!("no memory: {:?}", scan.gaps));
        };
        assert!(memory.rmem_alloc >= 30_000, "{memory:?}");
        assert!(memory.held() >= u64::from(memory.rmem_alloc));
        // Those that only /proc shows have no cookie.
        let mut cookies: Vec<_> = scan
            .sockets
            .iter()
            .filter(|socket| socket.cookie != 0)
            .map(|socket| (socket.netns_inum, socket.cookie))
            .collect();
        cookies.sort_unstable();
        assert!(
            cookies.windows(2).all(|two| two[0] != two[1]),
            "a socket is listed twice"
        );

        let readings = readings::read_all(Path::new(PROC)).readings;
        let own = readings
            .iter()
            .find(|reading| reading.netns.inum == inum)
            .unwrap();
        assert!(own.netstat.get("Tcp", "InSegs").unwrap() > 0);
        assert_eq!(own.netstat.get("Tcp", "PassiveOpens"), Some(1));
        let distinct: BTreeSet<_> = readings.iter().map(|reading| reading.netns.inum).collect();
        assert_eq!(distinct.len(), readings.len(), "a namespace is read twice");
        Ok(())
    });
    if let Err(reason) = checked.join().unwrap() {
        println!("SKIP: {reason}");
    }
}

/// A socket of this very process has an owner, whatever kind of host this is.
#[test]
fn an_own_socket_has_an_owner() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let scan = holders::scan(Path::new(PROC));
    let own = inode(&listener);
    let found = scan
        .sockets
        .iter()
        .find(|socket| u64::from(socket.inode) == own)
        .unwrap();
    let sources = Sources::default();
    let mut attributor = sources.read();
    sources.find_processes(&mut attributor, &scan.sockets);
    let owner = attributor.owner_of_socket(found);
    assert!(
        !matches!(owner.kind, OwnerKind::Unknown | OwnerKind::Unattributed),
        "{owner:?}"
    );
    if let Some((pid, _)) = owner.process {
        assert_eq!(pid.cast_unsigned(), std::process::id());
    }
}

/// Reading a namespace keeps nothing of it: it is gone when its last process is.
#[test]
fn nothing_keeps_a_namespace_alive() {
    let mut command = Command::new("/bin/cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    // SAFETY: unshare is a bare system call, safe between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::unshare(libc::CLONE_NEWNET) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("SKIP: no process in a network namespace of its own: {error}");
            return;
        }
    };
    let pid = i32::try_from(child.id()).unwrap();
    let listing = netns::list(Path::new(PROC));
    let theirs: Vec<_> = listing
        .namespaces
        .into_iter()
        .filter(|netns| netns.pid == Some(pid))
        .collect();
    assert_eq!(theirs.len(), 1);
    let reading = readings::read(Path::new(PROC), &theirs);
    assert_eq!(reading.readings.len(), 1, "{:?}", reading.gaps);
    let link = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();

    // End of input ends it.
    drop(child.stdin.take());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut Vec::new())
        .unwrap();
    child.wait().unwrap();
    let own: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| *target == link)
        .collect();
    assert_eq!(own, Vec::<std::path::PathBuf>::new());
    // The thread that went in may still be on its way out.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let again = readings::read(Path::new(PROC), &theirs);
        assert_eq!(again.gaps, Vec::<String>::new());
        if again.readings.is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the namespace can still be entered"
        );
    }
}
