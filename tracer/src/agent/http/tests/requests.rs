//! What is answered to which request.

use super::*;

#[tokio::test]
async fn each_path_answers() {
    let running = Running::usual();
    for (path, status, media_type, body) in [
        (
            "/metrics",
            200,
            "text/plain; version=0.0.4",
            "tcpress_up 1\n# EOF\n",
        ),
        ("/healthz", 200, "text/plain", "ok\n"),
        ("/readyz", 200, "text/plain", "ok\n"),
        ("/report", 200, "application/json", "{\"report\":1}"),
        ("/debug/plan", 200, "application/json", "{\"plan\":1}"),
        ("/metrics?a=b", 200, "text/plain", "tcpress_up 1\n# EOF\n"),
        ("/", 404, "text/plain", "there are"),
        ("/metrics/", 404, "text/plain", "there are"),
        ("/../etc/passwd", 404, "text/plain", "there are"),
        ("//metrics", 404, "text/plain", "there are"),
    ] {
        let answer = running.get(path).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(
            answer.contains(&format!("content-type: {media_type}")),
            "{answer}"
        );
        let (_, got) = answer.split_once("\r\n\r\n").unwrap();
        assert!(got.starts_with(body), "{path}: {got}");
        assert!(!answer.contains("passwd"), "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_well_says_so() {
    let running = Running::usual();
    running.known.unwell.store(true, Ordering::Relaxed);
    running.known.no_report.store(true, Ordering::Relaxed);
    for (path, words) in [
        ("/healthz", "secret reason"),
        ("/readyz", "secret reason"),
        ("/report", "no report yet"),
    ] {
        let answer = running.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains(words), "{answer}");
    }
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let running = Running::usual();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let request = format!("{method} /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = running.say(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        assert!(answer.contains("\r\nallow: GET, HEAD\r\n"), "{answer}");
    }
    let answer = running
        .say(b"POST /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let running = Running::usual();
    let strip = |answer: &str| -> Vec<String> {
        let head = answer.split("\r\n\r\n").next().unwrap().lines();
        head.filter(|line| !line.starts_with("date: "))
            .map(str::to_owned)
            .collect()
    };
    let get = running.get("/metrics").await;
    let head = running
        .say(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(strip(&head), strip(&get));
    assert!(head.contains("content-length: 19\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn the_format_is_negotiated() {
    let running = Running::usual();
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: application/openmetrics-text;version=1.0.0\r\nConnection: close\r\n\r\n";
    let answer = running.say(request.as_bytes()).await;
    assert!(
        answer.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_is_refused_and_ends_the_connection() {
    let running = Running::usual();
    for (head, body) in [
        ("Content-Length: 5", "hello"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        // Never sent: nobody waits for it.
        ("Content-Length: 1000000000", ""),
        ("Expect: 100-continue\r\nContent-Length: 5", ""),
    ] {
        // What is taken for a body must never be taken for the next request.
        let request = format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{body}");
        let answer = running.say(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    running.until(|it| it.server.places.taken() == 0).await;
}

#[tokio::test]
async fn malformed_requests_are_refused_and_hurt_nobody() {
    let running = Running::usual();
    let many = "X: y\r\n".repeat(100);
    let table: [(&[u8], &str); 14] = [
        (b"\r\n\r\n\r\nGARBAGE\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /metrics\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /metrics HTTP/9.9\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /met rics HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET /\0 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        (
            b"GET /metrics HTTP/1.1\r\nNo colon\r\n\r\n",
            "HTTP/1.1 400 ",
        ),
        (b"GET /metrics HTTP/1.1\r\nA b: c\r\n\r\n", "HTTP/1.1 400 "),
        (
            b"GET /metrics HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 400 ",
        ),
        (
            b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 400 ",
        ),
        (
            b"GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 400 ",
        ),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            "HTTP/1.1 400 ",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        (&[0xff; 2000], "HTTP/1.1 400 "),
    ];
    for (bytes, status) in table {
        let answer = running.say(bytes).await;
        assert!(
            answer.starts_with(status),
            "{:?}: {answer}",
            String::from_utf8_lossy(bytes)
        );
    }
    let request = format!("GET /metrics HTTP/1.1\r\n{many}\r\n");
    let answer = running.say(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(running.get("/metrics").await.ends_with("# EOF\n"));
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_order() {
    let running = Running::usual();
    let mut stream = running.connect().await;
    let line = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let last = "GET /report HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let all = format!(
        "{}{}{}{last}",
        line("/healthz"),
        line("/debug/plan"),
        line("/nothing")
    );
    stream.write_all(all.as_bytes()).await.unwrap();
    let answers = rest(&mut stream).await;
    let at: Vec<usize> = ["ok\n", "{\"plan\":1}", "there are", "{\"report\":1}"]
        .iter()
        .map(|body| answers.find(body).unwrap())
        .collect();
    assert!(at.is_sorted(), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 4, "{answers}");
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_scrape() {
    let running = Running::usual();
    let mut stream = running.connect().await;
    for _ in 0..3 {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        assert!(one(&mut stream).await.ends_with("ok\n"));
    }
    assert_eq!(running.server.places.taken(), 1);
    drop(stream);
    running.until(|it| it.server.places.taken() == 0).await;
}
