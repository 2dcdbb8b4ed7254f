//! A channel over a Unix socket.

use std::{path::Path, sync::Arc};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Error, Uri};

/// Bytes of headers that a server may send with an answer.
const HEADERS_MAX: u32 = 64 * 1024;

/// Connects to the runtime that listens at `path`. The channel connects anew where the runtime was
/// restarted; it has no deadline of its own.
///
/// # Errors
/// Nobody listens there, or this process may not connect. The cause is in the error's sources.
pub async fn connect(path: &Path) -> Result<Channel, Error> {
    let path: Arc<Path> = path.into();
    let connector = tower::service_fn(move |_: Uri| {
        let path = Arc::clone(&path);
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // HTTP/2 wants a host's name; Unix sockets have none, and servers expect this one.
    Endpoint::from_static("http://localhost")
        .http2_max_header_list_size(HEADERS_MAX)
        .connect_with_connector(connector)
        .await
}
