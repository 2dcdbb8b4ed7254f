//! Far ends that are not who they should be, busy, broken, slow, or rude.

use std::time::{Duration, Instant};

use tracer::{
    export::{Policy, Remedy},
    output::Format,
};

use crate::{
    keys::Authority,
    server::{Closed, Deed, Server, status},
    work::{LONG, Words, message, plain_url, policy, sender, trust, url},
};

#[tokio::test]
async fn whoever_is_not_trusted_gets_nothing_and_is_asked_once() {
    let (authority, other) = (Authority::new(), Authority::new());
    let wrong_name = authority.server(&["other.example"]);
    let wrong_authority = other.server(&["localhost"]);
    let trust = trust(&authority.pem);
    for (config, word) in [
        (wrong_authority, "nobody who is trusted"),
        (wrong_name, "other.example"),
    ] {
        let server = Server::new(Some(config), Vec::new());
        let words = Words::default();
        let say = |it: &str| words.say(it);
        let sender = sender(
            Some(&trust),
            &[("TCPRESS_BEARER", "t0ken")],
            LONG,
            policy(),
            &say,
        );
        let message = message("incident", Format::Json, &url(server.at, "/"));
        let why = sender.deliver(&message).await.expect_err("no trust");
        assert_eq!(why.remedy, Remedy::Setup, "{why}");
        assert!(why.words.contains(word), "{why}");
        assert!(why.words.contains("ca.pem"), "whom it trusts: {why}");
        assert_eq!(
            words.count(),
            0,
            "it does not change by itself: {}",
            words.all()
        );
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn a_busy_far_end_is_left_alone_for_as_long_as_it_asks() {
    let busy = Deed::Say(
        429,
        vec![("retry-after", "1".to_owned())],
        "slow down".to_owned(),
    );
    let server = Server::new(None, vec![busy, status(202)]);
    let words = Words::default();
    let say = |it: &str| words.say(it);
    let sender = sender(None, &[], LONG, policy(), &say);
    let message = message("incident", Format::Json, &plain_url(server.at, "/"));
    let start = Instant::now();
    sender.deliver(&message).await.expect("it is taken");
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.seen().len(), 2);
    assert_eq!(server.taken().len(), 1);
    assert!(words.all().contains("429"), "{}", words.all());
    assert!(words.all().contains("slow down"), "{}", words.all());
}

#[tokio::test]
async fn a_far_end_that_asks_for_too_long_is_given_up() {
    let away = Deed::Say(
        503,
        vec![("retry-after", "86400".to_owned())],
        String::new(),
    );
    let server = Server::new(None, vec![away]);
    let sender = sender(None, &[], LONG, policy(), &|_| {});
    let message = message("incident", Format::Json, &plain_url(server.at, "/"));
    let why = sender.deliver(&message).await.expect_err("a day");
    assert_eq!(why.remedy, Remedy::Time);
    assert!(why.words.contains("86400 s"), "{why}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_breaks_is_tried_again_with_the_same_key() {
    for deed in [
        status(500),
        status(502),
        status(408),
        Deed::Close,
        Deed::Half,
    ] {
        let server = Server::new(None, vec![deed.clone(), deed.clone(), status(200)]);
        let words = Words::default();
        let say = |it: &str| words.say(it);
        let sender = sender(None, &[], LONG, policy(), &say);
        let message = message("incident", Format::Json, &plain_url(server.at, "/"));
        sender
            .deliver(&message)
            .await
            .unwrap_or_else(|why| panic!("{deed:?}: {why}"));
        assert_eq!(server.seen().len(), 3, "{deed:?}");
        assert_eq!(server.taken().len(), 1, "{deed:?}");
        assert_eq!(words.count(), 2, "{deed:?}: {}", words.all());
    }
}

/// It never answers at first; a try ends by its time limit, and one of the many after it gets through however slow this machine is.
#[tokio::test]
async fn a_slow_far_end_is_tried_again() {
    let authority = Authority::new();
    let server = Server::new(
        Some(authority.server(&["localhost"])),
        vec![Deed::Nothing, Deed::Nothing],
    );
    let trust = trust(&authority.pem);
    let words = Words::default();
    let say = |it: &str| words.say(it);
    let limit = Duration::from_millis(300);
    let sender = sender(
        Some(&trust),
        &[],
        limit,
        Policy {
            retries: 100,
            ..policy()
        },
        &say,
    );
    let message = message("incident", Format::Json, &url(server.at, "/"));
    sender.deliver(&message).await.expect("it is taken");
    assert!(
        words.all().contains("did not answer within 300ms"),
        "{}",
        words.all()
    );
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn a_far_end_that_is_down_is_given_up_in_the_end() {
    let closed = Closed::new();
    let words = Words::default();
    let say = |it: &str| words.say(it);
    let sender = sender(
        None,
        &[],
        LONG,
        Policy {
            retries: 3,
            ..policy()
        },
        &say,
    );
    let message = message("incident", Format::Json, &plain_url(closed.at(), "/"));
    let why = sender.deliver(&message).await.expect_err("nobody is there");
    assert_eq!(why.remedy, Remedy::Time);
    assert!(
        why.words.contains("refused") && why.words.contains("after 4 tries"),
        "{why}"
    );
    assert_eq!(words.count(), 3, "{}", words.all());
}

#[tokio::test]
async fn a_no_is_not_tried_again() {
    let elsewhere = vec![("location", "https://elsewhere.example/".to_owned())];
    for (deed, remedy) in [
        (status(400), Remedy::None),
        (status(413), Remedy::None),
        (status(422), Remedy::None),
        (status(401), Remedy::Setup),
        (status(404), Remedy::Setup),
        (Deed::Say(308, elsewhere, String::new()), Remedy::Setup),
    ] {
        let server = Server::new(None, vec![deed.clone()]);
        let sender = sender(None, &[], LONG, policy(), &|_| {});
        let message = message("incident", Format::Json, &plain_url(server.at, "/"));
        let why = sender.deliver(&message).await.expect_err("a no");
        assert_eq!(why.remedy, remedy, "{deed:?}: {why}");
        assert_eq!(server.seen().len(), 1, "{deed:?}");
    }
}

/// Far ends repeat what they were told; errors do not.
#[tokio::test]
async fn what_a_far_end_says_is_shown_short_safe_and_without_secrets() {
    let authority = Authority::new();
    // printf ann:hunter2 | base64
    let echo = "no such user: ann:hunter2, Basic YW5uOmh1bnRlcjI=\u{1b}[2J\n";
    let echo = Deed::Say(401, Vec::new(), echo.to_owned());
    let endless = Deed::Say(400, Vec::new(), "x".repeat(10 << 20));
    let server = Server::new(Some(authority.server(&["localhost"])), vec![echo, endless]);
    let trust = trust(&authority.pem);
    let secrets = [("TCPRESS_BASIC", "ann:hunter2")];
    let sender = sender(Some(&trust), &secrets, LONG, policy(), &|_| {});
    let message = message("incident", Format::Json, &url(server.at, "/"));
    let why = sender
        .deliver(&message)
        .await
        .expect_err("a no")
        .to_string();
    assert!(why.contains("no such user: ***, Basic ***"), "{why}");
    assert!(!why.contains('\u{1b}') && !why.contains('\n'), "{why}");
    let why = sender
        .deliver(&message)
        .await
        .expect_err("a no")
        .to_string();
    assert!(why.contains("400") && why.len() < 1_000, "{why}");
}
