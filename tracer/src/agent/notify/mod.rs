//! What the service manager is told: the protocol of sd_notify(3), which is a datagram of lines to the socket that `NOTIFY_SOCKET` names.
//! Without one nothing is told.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use crate::output::text;

/// Longest status.
const MAX_STATUS: usize = 500;

/// The service manager.
#[derive(Debug)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The one that the environment names, if it does.
    ///
    /// # Errors
    /// When it names one that cannot be told anything.
    pub fn new(environment: &dyn Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let Some(name) = environment("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self {
                to: None,
                watchdog: None,
            });
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not stop us.
        socket.set_nonblocking(true)?;
        Ok(Self {
            to: Some((socket, address(&name)?)),
            watchdog: watchdog(environment),
        })
    }

    /// How often [`Self::alive`] is to be called: half of the time after which the manager would kill us. `None` where it does not watch.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Everything is attached.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\n{}", status_line(status)));
    }

    /// In words: what the agent is at.
    pub fn status(&self, status: &str) {
        self.tell(&status_line(status));
    }

    /// The configuration is being read again; [`Self::ready`] ends that.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// The agent ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    /// The loop turns.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1\n");
    }

    /// Probes are being let go of: it lives, and takes longer than it may. To be called each second.
    pub fn detaching(&self) {
        self.tell("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=10000000\n");
    }

    /// A manager that is gone, or does not read, is no reason to end.
    fn tell(&self, lines: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(lines.as_bytes(), address);
        }
    }
}

fn status_line(status: &str) -> String {
    format!("STATUS={}\n", text::clean(status, MAX_STATUS))
}

/// A path, or with an `@` a name in the abstract namespace.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "NOTIFY_SOCKET is neither a path nor an abstract name",
        )),
    }
}

/// Half of `WATCHDOG_USEC`, if that is meant for this process (sd_watchdog_enabled(3)).
fn watchdog(environment: &dyn Fn(&str) -> Option<OsString>) -> Option<Duration> {
    let number = |name| environment(name)?.to_str()?.parse::<u64>().ok();
    let ours = match environment("WATCHDOG_PID") {
        None => true,
        Some(_) => number("WATCHDOG_PID") == Some(std::process::id().into()),
    };
    let micros = number("WATCHDOG_USEC").filter(|&micros| ours && micros > 1)?;
    Some(Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::fixture::Fixture;

    fn of<'a>(pairs: &'a [(&'a str, OsString)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        |name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.clone())
        }
    }

    fn next(socket: &UnixDatagram) -> String {
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut buffer = [0; 2048];
        let read = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..read].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_at_a_path_is_told_everything_in_order() {
        let folder = Fixture::new();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let pairs = [("NOTIFY_SOCKET", path.into_os_string())];
        let notifier = Notifier::new(&of(&pairs)).unwrap();
        let before = clock_gettime(ClockId::Monotonic);
        notifier.ready("36 probes\nREADY=0");
        notifier.status("calm");
        notifier.reloading();
        notifier.alive();
        notifier.stopping();
        notifier.detaching();
        assert_eq!(next(&manager), "READY=1\nSTATUS=36 probes\\nREADY=0\n");
        assert_eq!(next(&manager), "STATUS=calm\n");
        let reloading = next(&manager);
        let micros = reloading
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap();
        let seconds = micros.trim_end().parse::<i64>().unwrap() / 1_000_000;
        assert!((before.tv_sec..=clock_gettime(ClockId::Monotonic).tv_sec).contains(&seconds));
        assert_eq!(next(&manager), "WATCHDOG=1\n");
        assert_eq!(next(&manager), "STOPPING=1\n");
        // sd_notify(3): ten seconds more, in microseconds.
        assert_eq!(next(&manager), "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=10000000\n");
        assert_eq!(notifier.watchdog(), None);
    }

    #[test]
    fn a_manager_with_an_abstract_name_is_told() {
        let name = format!("tcpress-test-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let pairs = [("NOTIFY_SOCKET", format!("@{name}").into())];
        Notifier::new(&of(&pairs)).unwrap().ready("well");
        assert_eq!(next(&manager), "READY=1\nSTATUS=well\n");
    }

    #[test]
    fn nobody_there_or_nobody_reading_stops_nothing() {
        Notifier::new(&|_| None).unwrap().ready("");
        Notifier::new(&of(&[("NOTIFY_SOCKET", "".into())]))
            .unwrap()
            .ready("");
        let folder = Fixture::new();
        let path = folder.path().join("notify");
        let pairs = [("NOTIFY_SOCKET", path.clone().into_os_string())];
        Notifier::new(&of(&pairs)).unwrap().ready("nobody is there");
        let _manager = UnixDatagram::bind(path).unwrap();
        let notifier = Notifier::new(&of(&pairs)).unwrap();
        // Far more than a socket queues.
        (0..10_000).for_each(|_| notifier.alive());
        let wrong = [("NOTIFY_SOCKET", "vsock:2:1".into())];
        assert!(Notifier::new(&of(&wrong)).is_err());
    }

    #[test]
    fn the_watchdog_is_fed_at_half_its_time_if_it_watches_us() {
        let folder = Fixture::new();
        let path = folder.path().join("notify");
        let socket = ("NOTIFY_SOCKET", path.into_os_string());
        let own = std::process::id().to_string();
        for (micros, pid, want) in [
            ("30000000", None, Some(Duration::from_secs(15))),
            (
                "30000000",
                Some(own.as_str()),
                Some(Duration::from_secs(15)),
            ),
            ("30000000", Some("1"), None),
            ("30000000", Some("me"), None),
            ("0", None, None),
            ("1", None, None),
            ("soon", None, None),
        ] {
            let mut pairs = vec![socket.clone(), ("WATCHDOG_USEC", micros.into())];
            pairs.extend(pid.map(|pid| ("WATCHDOG_PID", pid.into())));
            let notifier = Notifier::new(&of(&pairs)).unwrap();
            assert_eq!(notifier.watchdog(), want, "{micros} {pid:?}");
        }
    }
}
