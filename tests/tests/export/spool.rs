//! What waits while a far end is down: nothing is lost, nothing is there twice, and the order stays.

use std::fs;

use tracer::{
    export::{Message, Policy, Spool, send, spool::Kept},
    output::Format,
};

use crate::{
    folder::Folder,
    keys::Authority,
    server::{Closed, Deed, Server, status},
    work::{LONG, Words, files, message, plain_url, policy, sender, trust, url},
};

const ROOM: u64 = 64 << 20;

fn keys(messages: &[&Message]) -> Vec<String> {
    messages.iter().map(|it| it.key.clone()).collect()
}

fn taken(server: &Server) -> Vec<String> {
    server
        .taken()
        .iter()
        .map(|it| it.key().to_owned())
        .collect()
}

fn impatient() -> Policy {
    Policy {
        retries: 1,
        ..policy()
    }
}

#[tokio::test]
async fn what_waited_goes_first_and_in_order() {
    let folder = Folder::new();
    let authority = Authority::new();
    let trust = trust(&authority.pem);
    let closed = Closed::new();
    let to = url(closed.at(), "/");
    let spool = Spool::open(folder.path(), ROOM).expect("a spool");
    let words = Words::default();
    let say = |it: &str| words.say(it);
    let secrets = [("TCPRESS_BEARER", "t0ken")];
    let sender = sender(Some(&trust), &secrets, LONG, impatient(), &say);
    let names = ["incident", "memcg", "rcvbuf", "context"];
    let messages = names.map(|name| message(name, Format::Json, &to));
    for (number, message) in messages[..3].iter().enumerate() {
        let why = send(&sender, Some(&spool), message, LONG, &say)
            .await
            .expect_err("down");
        let why = why.to_string();
        let waits = format!("{} message", number + 1);
        assert!(why.contains("refused") && why.contains(&waits), "{why}");
    }
    // A repeat of what waits does not wait twice.
    send(&sender, Some(&spool), &messages[1], LONG, &say)
        .await
        .expect_err("down");
    assert_eq!(spool.waiting().expect("a list").len(), 3);
    for name in files(folder.path()) {
        let text = fs::read_to_string(folder.path().join(name)).expect("a file");
        assert!(!text.contains("t0ken"), "no secret on the disk");
    }

    // It comes back, and breaks once more in the middle.
    let deeds = vec![status(200), Deed::Close, status(500), status(200)];
    let server = closed.open(Some(authority.server(&["localhost"])), deeds);
    send(&sender, Some(&spool), &messages[3], LONG, &say)
        .await
        .expect_err("it breaks twice");
    assert_eq!(
        spool.waiting().expect("a list").len(),
        3,
        "one went through"
    );
    send(&sender, Some(&spool), &messages[3], LONG, &say)
        .await
        .expect("all of it");
    let all: Vec<&Message> = messages.iter().collect();
    assert_eq!(taken(&server), keys(&all));
    assert_eq!(spool.waiting().expect("a list"), []);
}

/// The process ends between sending and forgetting: the same comes again, and is known by its key.
#[tokio::test]
async fn what_was_sent_and_not_forgotten_is_no_second_one() {
    let folder = Folder::new();
    let server = Server::new(None, Vec::new());
    let to = plain_url(server.at, "/");
    let spool = Spool::open(folder.path(), ROOM).expect("a spool");
    let sender = sender(None, &[], LONG, policy(), &|_| {});
    let (first, second) = (
        message("incident", Format::Json, &to),
        message("memcg", Format::Json, &to),
    );
    assert!(matches!(spool.put(&first).expect("room"), Kept::Waits(_)));
    sender.deliver(&first).await.expect("it is taken");
    send(&sender, Some(&spool), &second, LONG, &|_| {})
        .await
        .expect("it is taken");
    assert_eq!(server.seen().len(), 3);
    assert_eq!(taken(&server), keys(&[&first, &second]));
}

#[tokio::test]
async fn what_is_not_taken_is_put_aside_and_holds_up_nothing() {
    let folder = Folder::new();
    let server = Server::new(None, vec![status(422), status(200)]);
    let to = plain_url(server.at, "/");
    let spool = Spool::open(folder.path(), ROOM).expect("a spool");
    let words = Words::default();
    let say = |it: &str| words.say(it);
    let sender = sender(None, &[], LONG, policy(), &say);
    let (bad, good) = (
        message("incident", Format::Json, &to),
        message("memcg", Format::Json, &to),
    );
    spool.put(&bad).expect("room");
    fs::write(folder.path().join(format!("{:020}-cut.json", 1)), "{").expect("a file");
    send(&sender, Some(&spool), &good, LONG, &say)
        .await
        .expect("it is taken");
    assert!(
        words.all().contains("422") && words.all().contains("is no message"),
        "{}",
        words.all()
    );
    assert_eq!(taken(&server), keys(&[&bad, &good]));
    assert_eq!(spool.waiting().expect("a list"), []);
    let aside = files(folder.path());
    assert_eq!(
        aside.iter().filter(|it| it.ends_with(".rejected")).count(),
        2,
        "{aside:?}"
    );
}

#[tokio::test]
async fn a_message_of_our_own_that_is_not_taken_is_an_error() {
    let folder = Folder::new();
    let server = Server::new(None, vec![status(400)]);
    let spool = Spool::open(folder.path(), ROOM).expect("a spool");
    let sender = sender(None, &[], LONG, policy(), &|_| {});
    let message = message("incident", Format::Json, &plain_url(server.at, "/"));
    send(&sender, Some(&spool), &message, LONG, &|_| {})
        .await
        .expect_err("not taken");
    assert_eq!(spool.waiting().expect("a list"), []);
}

#[tokio::test]
async fn what_waits_for_another_address_stays() {
    let folder = Folder::new();
    let server = Server::new(None, Vec::new());
    let spool = Spool::open(folder.path(), ROOM).expect("a spool");
    let words = Words::default();
    let say = |it: &str| words.say(it);
    let sender = sender(None, &[], LONG, policy(), &say);
    let other = message("incident", Format::Json, "http://192.0.2.1/");
    spool.put(&other).expect("room");
    let own = message("incident", Format::Json, &plain_url(server.at, "/"));
    assert_eq!(own.key, other.key, "what is said is the same");
    send(&sender, Some(&spool), &own, LONG, &say)
        .await
        .expect("it is taken");
    assert_eq!(spool.waiting().expect("a list").len(), 1);
    assert!(
        words.all().contains("1 message for other addresses"),
        "{}",
        words.all()
    );
}

#[tokio::test]
async fn what_finds_no_room_is_counted_and_told() {
    let folder = Folder::new();
    let closed = Closed::new();
    let to = plain_url(closed.at(), "/");
    let words = Words::default();
    let say = |it: &str| words.say(it);
    let sender = sender(None, &[], LONG, impatient(), &say);
    let first = message("incident", Format::Json, &to);
    let (second, third) = (
        message("memcg", Format::Json, &to),
        message("rcvbuf", Format::Json, &to),
    );
    let spool = Spool::open(folder.path(), ROOM).expect("a spool");
    send(&sender, Some(&spool), &first, LONG, &say)
        .await
        .expect_err("down");
    let names = files(folder.path());
    let file = names
        .iter()
        .find(|it| it.ends_with(".json"))
        .expect("it waits");
    let size = fs::metadata(folder.path().join(file))
        .expect("a file")
        .len();
    let spool = Spool::open(folder.path(), size + 1_000).expect("a spool");
    for lost in 1..=2 {
        let why = send(&sender, Some(&spool), &second, LONG, &say)
            .await
            .expect_err("full");
        assert!(
            why.to_string().contains(&format!("{lost} message")),
            "{why}"
        );
    }
    // Once it is up there is no need of room.
    let server = closed.open(None, Vec::new());
    send(&sender, Some(&spool), &third, LONG, &say)
        .await
        .expect("it is taken");
    assert_eq!(taken(&server), keys(&[&first, &third]));
    assert!(
        words.all().contains("2 messages, which found no room"),
        "{}",
        words.all()
    );
}

#[tokio::test]
async fn while_another_sends_a_message_waits() {
    let folder = Folder::new();
    let server = Server::new(None, Vec::new());
    let spool = Spool::open(folder.path(), ROOM).expect("a spool");
    let sender = sender(None, &[], LONG, policy(), &|_| {});
    let to = plain_url(server.at, "/");
    let first = message("incident", Format::Json, &to);
    let right = spool.sending().expect("a lock").expect("nobody else");
    let short = std::time::Duration::from_millis(1);
    let why = send(&sender, Some(&spool), &first, short, &|_| {})
        .await
        .expect_err("not its turn");
    assert!(why.to_string().contains("another export"), "{why}");
    assert!(server.seen().is_empty());
    drop(right);
    let second = message("memcg", Format::Json, &to);
    send(&sender, Some(&spool), &second, LONG, &|_| {})
        .await
        .expect("both");
    assert_eq!(taken(&server), keys(&[&first, &second]));
}

/// Many at once: each message gets there, and each once.
#[tokio::test]
async fn exports_at_the_same_time_send_each_message_once() {
    let folder = Folder::new();
    let server = Server::new(None, Vec::new());
    let to = plain_url(server.at, "/");
    let spool = Spool::open(folder.path(), ROOM).expect("a spool");
    let sender = sender(None, &[], LONG, policy(), &|_| {});
    let names = ["incident", "memcg", "rcvbuf", "context", "mixed"];
    let messages = names.map(|name| message(name, Format::Json, &to));
    let one = |message| send(&sender, Some(&spool), message, LONG, &|_| {});
    let [a, b, c, d, e] = &messages;
    let all = tokio::join!(one(a), one(b), one(c), one(d), one(e));
    for sent in [all.0, all.1, all.2, all.3, all.4] {
        sent.expect("it is taken");
    }
    assert_eq!(
        server.seen().len(),
        5,
        "not even a repeat that would be known"
    );
    assert_eq!(server.taken().len(), 5);
}
