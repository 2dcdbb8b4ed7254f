//! The [Container Runtime Interface](https://kubernetes.io/docs/concepts/architecture/cri/), version 1:
//! how the kubelet, and tcpress, speak with containerd, CRI-O and others. The messages, the client and,
//! with the feature `server`, the server are generated from the interface file of Kubernetes
//! (`proto/api.proto`); by hand there is [`connect()`] alone.

mod connect;

pub use connect::connect;
/// What the client and the server are built on: channels, requests, the status of an answer.
pub use tonic;

/// Package `runtime.v1` as generated: `runtime_service_client`, `image_service_client`, their servers, and a
/// type for each message. Comments are those of the interface file.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    rustdoc::all,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("runtime.v1");
}
