//! From the head of a request to its answer.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Body,
    header::{
        ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue,
        RETRY_AFTER, WWW_AUTHENTICATE,
    },
};

use super::{Access, Answers, Page};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What is said to a request. Its path is compared and never repeated.
pub(super) fn answer<B: Body>(
    request: &Request<B>,
    access: &Access,
    answers: &dyn Answers,
) -> Response<Full<Bytes>> {
    // What is not read cannot be told from the next request.
    if !request.body().is_end_stream() {
        let mut response = plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            "no request here has a body\n",
        );
        close(&mut response);
        return response;
    }
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let admitted = access.admits(header(AUTHORIZATION));
    let path = request.uri().path();
    let open = matches!(path, "/healthz" | "/readyz");
    let known = open || matches!(path, "/metrics" | "/report" | "/debug/plan");
    if !known {
        return plain(
            StatusCode::NOT_FOUND,
            "there are /metrics, /healthz, /readyz, /report and /debug/plan\n",
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD alone\n");
        set(&mut response, ALLOW, "GET, HEAD");
        return response;
    }
    if !open && !admitted {
        let mut response = plain(StatusCode::UNAUTHORIZED, "a bearer token is needed\n");
        set(&mut response, WWW_AUTHENTICATE, "Bearer");
        return response;
    }
    match path {
        "/healthz" => state(answers.health(), admitted),
        "/readyz" => state(answers.ready(), admitted),
        "/metrics" => {
            let accept = header(ACCEPT).and_then(|value| std::str::from_utf8(value).ok());
            page(StatusCode::OK, answers.metrics(accept.unwrap_or_default()))
        }
        "/debug/plan" => json(answers.plan()),
        _ => match answers.report() {
            Some(report) => json(report),
            None => {
                let mut response = plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no report yet: the first window is still open\n",
                );
                set(&mut response, RETRY_AFTER, "10");
                response
            }
        },
    }
}

/// Why it is not well is for those who may ask.
fn state(state: Result<(), String>, admitted: bool) -> Response<Full<Bytes>> {
    match state {
        Ok(()) => plain(StatusCode::OK, "ok\n"),
        Err(why) if admitted => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "not ok\n"),
    }
}

fn json(body: Bytes) -> Response<Full<Bytes>> {
    page(
        StatusCode::OK,
        Page {
            media_type: JSON,
            body,
        },
    )
}

fn plain(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let body = Bytes::copy_from_slice(words.as_bytes());
    page(
        status,
        Page {
            media_type: TEXT,
            body,
        },
    )
}

fn page(status: StatusCode, page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page.body));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, page.media_type);
    set(&mut response, CACHE_CONTROL, "no-store");
    response
}

fn close(response: &mut Response<Full<Bytes>>) {
    set(response, CONNECTION, "close");
}

fn set(response: &mut Response<Full<Bytes>>, name: hyper::header::HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}
