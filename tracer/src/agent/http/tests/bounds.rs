//! What is bounded: places, heads, times.

use std::io;

use super::*;

fn quick() -> Http {
    Http {
        timeout: Duration::from_millis(200),
        ..http()
    }
}

#[tokio::test]
async fn a_thousand_connections_keep_no_scraper_out() {
    let running = Running::usual();
    let mut open = Vec::new();
    for number in 0..1000 {
        let mut stream = running.connect().await;
        // Silent ones, and such as have begun to speak. It may have been closed already.
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET /metr").await;
        }
        open.push(stream);
        if number % 100 == 99 {
            assert!(
                running.get("/metrics").await.ends_with("# EOF\n"),
                "{number}"
            );
        }
        assert!(running.server.places.taken() <= 16);
    }
    running
        .until(|it| it.known.hits("http_connections") >= 1000 - 16)
        .await;
    // All but those that still have a place see the end.
    let wait = async {
        while open.len() > 16 {
            open.retain(|stream| {
                let read = stream.try_read(&mut [0]);
                matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            });
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(FAILSAFE, wait).await.unwrap();
}

#[tokio::test]
async fn the_oldest_that_waits_leaves_first_and_one_with_a_request_stays() {
    let running = Running::new(&Http {
        max_connections: 2,
        ..http()
    });
    // More than all buffers take, so that it is being answered until it is read.
    *running.known.page.lock().unwrap() = Bytes::from(vec![b'x'; 64 << 20]);
    let mut slow = running.connect().await;
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    slow.read_u8().await.unwrap();
    let mut idle = running.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    one(&mut idle).await;
    let mut third = running.connect().await;
    third
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    third.read_u8().await.unwrap();
    assert_eq!(rest(&mut idle).await, "", "it was idle");
    assert_eq!(running.known.hits("http_connections"), 1);
    // Now both have a request.
    let mut fourth = running.connect().await;
    assert_eq!(rest(&mut fourth).await, "");
    assert_eq!(running.known.hits("http_connections"), 2);
    // Both go on to the end.
    for stream in [&mut slow, &mut third] {
        let mut left = 64_usize << 20;
        let mut buffer = vec![0; 1 << 16];
        while left > 0 {
            let read = timeout(FAILSAFE, stream.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(read > 0);
            left = left.saturating_sub(read);
        }
    }
}

#[tokio::test]
async fn whoever_does_not_take_the_answer_in_time_is_cut_off() {
    let running = Running::new(&quick());
    *running.known.page.lock().unwrap() = Bytes::from(vec![b'x'; 64 << 20]);
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    running.until(|it| it.known.hits("http_time") == 1).await;
    running.until(|it| it.server.places.taken() == 0).await;
    assert!(rest(&mut stream).await.len() < 64 << 20);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off_however_it_trickles() {
    let running = Running::new(&quick());
    let silent = running.connect().await;
    running.until(|it| it.known.hits("http_time") == 1).await;
    drop(silent);
    let mut trickling = running.connect().await;
    trickling
        .write_all(b"GET /healthz HTTP/1.1\r\nA: ")
        .await
        .unwrap();
    let trickle = async {
        while trickling.write_all(b"b").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(FAILSAFE, trickle).await.unwrap();
    assert_eq!(running.known.hits("http_time"), 2);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_counted() {
    let running = Running::usual();
    for request in [
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000)),
        format!("GET /healthz HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(20_000)),
        "A".repeat(20_000),
    ] {
        let answer = running.say(request.as_bytes()).await;
        // The answer is lost where the kernel resets a connection with unread bytes.
        let refused = ["", "HTTP/1.1 431 ", "HTTP/1.1 414 ", "HTTP/1.1 400 "];
        assert!(
            refused.iter().any(|it| answer.starts_with(it)) && !answer.contains("200"),
            "{answer}"
        );
    }
    running.until(|it| it.known.hits("http_head") >= 2).await;
    assert!(running.get("/healthz").await.ends_with("ok\n"));
}

#[tokio::test]
async fn closing_early_leaves_nothing_behind() {
    let running = Running::usual();
    *running.known.page.lock().unwrap() = Bytes::from(vec![b'x'; 8 << 20]);
    for bytes in [
        &b""[..],
        b"GET",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        for _ in 0..20 {
            let mut stream = running.connect().await;
            stream.write_all(bytes).await.unwrap();
        }
    }
    running.until(|it| it.server.places.taken() == 0).await;
}

#[tokio::test]
async fn fewer_places_hold_from_the_next_connection_on() {
    let running = Running::usual();
    let mut open = Vec::new();
    for taken in 1..=16 {
        open.push(running.connect().await);
        running.until(|it| it.server.places.taken() == taken).await;
    }
    let fewer = Http {
        max_connections: 1,
        ..http()
    };
    running.server.renew(Access::read(&fewer).unwrap());
    assert!(running.get("/healthz").await.ends_with("ok\n"));
    for stream in &mut open {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn an_address_that_is_in_use_is_had_in_the_end() {
    let first = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = first.local_addr().unwrap();
    let known = Arc::new(Known::default());
    let access = Access::read(&http()).unwrap();
    let server = Server::new(access, Arc::clone(&known) as Arc<dyn Answers>);
    let task = tokio::spawn(server.run(at));
    let said = |words: &str| {
        let said = known.said.lock().unwrap();
        said.iter().any(|line| line.contains(words))
    };
    let wait = async {
        while !said("another process listens there") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(first);
        while !said("listening on 127.0.0.1") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(FAILSAFE, wait).await.unwrap();
    assert_eq!(known.said.lock().unwrap().len(), 2, "said once");
    task.abort();
}

#[tokio::test]
async fn an_address_that_is_not_there_is_waited_for() {
    let known = Arc::new(Known::default());
    let access = Access::read(&http()).unwrap();
    let server = Server::new(access, Arc::clone(&known) as Arc<dyn Answers>);
    // TEST-NET-1 (RFC 5737): on no interface.
    let task = tokio::spawn(server.run("192.0.2.1:9943".parse().unwrap()));
    let wait = async {
        while known.said.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(FAILSAFE, wait).await.unwrap();
    let said = known.said.lock().unwrap().join(" ");
    assert!(said.contains("no interface has that address yet"), "{said}");
    task.abort();
}
