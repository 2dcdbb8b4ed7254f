//! The binary alone: a root directory that holds nothing else but the report and the authority, in a network namespace of its own with a
//! name server at 127.0.0.1. No library, no /etc, no /proc is there to help it.

use std::{
    fs, io,
    net::{SocketAddr, UdpSocket},
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Output},
    thread,
};

use domain::{
    base::{
        Message, MessageBuilder, Ttl,
        iana::{Class, Rcode, Rtype},
    },
    rdata::A,
};
use tcpress_lab::{skip, sys};

use crate::{
    common,
    folder::Folder,
    keys::Authority,
    server::{Server, status},
    work::{files, golden},
};

/// A name that only the name server of the test knows.
const NAME: &str = "tickets.example";

#[test]
fn the_binary_needs_nothing_but_itself() {
    if !sys::is_root() {
        skip("export from an empty root directory: that, and a network namespace, need root");
        return;
    }
    let folder = Folder::new();
    let authority = Authority::new();
    let root = folder.path().to_owned();
    fs::copy(common::tcpress(), root.join("tcpress")).expect("a copy");
    fs::copy(golden("incident"), root.join("report.json")).expect("a copy");
    fs::write(root.join("ca.pem"), &authority.pem).expect("a file");
    assert_eq!(files(&root), ["ca.pem", "report.json", "tcpress"]);
    let tls = authority.server(&[NAME, "localhost"]);
    // Whatever this thread starts is in its namespace.
    let done = thread::spawn(move || {
        sys::new_netns().expect("a network namespace");
        sys::loopback_up().expect("loopback");
        let names = UdpSocket::bind("127.0.0.1:53").expect("the port of name servers");
        thread::spawn(move || name_server(&names));
        let server = Server::new(Some(tls), vec![status(500)]);
        for name in ["localhost", NAME] {
            let to = format!("https://{name}:{}/in", server.at.port());
            let output = export(&root, &to).output().expect("tcpress can be started");
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{name}: {words}");
        }
        assert_eq!(server.seen().len(), 3, "one had to be repeated");
        assert_eq!(server.taken().len(), 1, "and all are one report");

        // Without an authority, and for a name that nobody knows, there are words.
        let to = format!("https://localhost:{}/in", server.at.port());
        let mut command = enter(&root);
        command.args(["export", "/report.json", "--format", "json", "--to", &to]);
        let words = failed(&mut command);
        assert!(words.contains("--ca FILE"), "{words}");
        let words = failed(&mut export(&root, "https://unknown.example/"));
        assert!(words.contains("unknown.example has no address"), "{words}");
    });
    done.join().expect("the test");
    let left = files(folder.path());
    assert_eq!(
        left,
        ["ca.pem", "report.json", "tcpress"],
        "nothing else came to be"
    );
}

/// `tcpress` in that root directory, with an empty environment.
fn enter(root: &Path) -> Command {
    let path = std::ffi::CString::new(root.as_os_str().as_bytes()).expect("a path");
    let mut command = Command::new("/tcpress");
    command.env_clear();
    let enter = move || {
        // SAFETY: both calls take a string that ends with a zero and lives as long as the closure.
        sys::cvt(unsafe { libc::chroot(path.as_ptr()) })?;
        // SAFETY: as above.
        sys::cvt(unsafe { libc::chdir(c"/".as_ptr()) })?;
        Ok::<(), io::Error>(())
    };
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(enter) };
    command
}

fn export(root: &Path, to: &str) -> Command {
    let mut command = enter(root);
    command.args([
        "export",
        "/report.json",
        "--format",
        "json",
        "--ca",
        "/ca.pem",
        "--to",
        to,
    ]);
    command
}

fn failed(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().expect("tcpress can be started");
    assert_eq!(status.code(), Some(1));
    String::from_utf8_lossy(&stderr).into_owned()
}

/// Knows one name, and ends with the test.
fn name_server(socket: &UdpSocket) {
    let mut buffer = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let _ = answer(&buffer[..length]).map(|it| socket.send_to(&it, from as SocketAddr));
    }
}

fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_octets(query).ok()?;
    let question = query.sole_question().ok()?;
    let known = question.qname().to_string() == NAME;
    let code = if known {
        Rcode::NOERROR
    } else {
        Rcode::NXDOMAIN
    };
    let mut answer = MessageBuilder::new_vec().start_answer(&query, code).ok()?;
    if known && question.qtype() == Rtype::A {
        let data = A::from_octets(127, 0, 0, 1);
        answer
            .push((question.qname(), Class::IN, Ttl::from_secs(1), data))
            .ok()?;
    }
    Some(answer.finish())
}
