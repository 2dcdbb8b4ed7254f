//! A TCP client of our own on a TUN device (or the loopback device, where there is none). The kernel has no socket at its end: it never resets, uses no TCP memory, and the
//! client chooses every sequence number. The kernel's answers are read and acknowledged as far as the steps need it.

pub mod client;
mod connection;
pub mod device;
mod feed;
mod looped;
mod mptcp;
mod odd;
mod ready;
pub mod segment;
pub mod step;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::say;
use crate::sys;
use client::Client;
use device::Device;
use step::Step;

/// Settings of the client.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the TUN device to make.
    #[arg(long, default_value = "tun0")]
    pub device: String,
    /// The kernel's address on the device; the /24 around it is routed there.
    #[arg(long, default_value = "10.99.0.1")]
    pub kernel: Ipv4Addr,
    /// The client's address; must be in that network.
    #[arg(long, default_value = "10.99.0.2")]
    pub client: Ipv4Addr,
    /// The server.
    #[arg(long)]
    pub to: SocketAddrV4,
    /// How many connections.
    #[arg(long, default_value_t = 1)]
    pub connections: u16,
    /// Initial sequence number: 4294967000 makes the stream wrap after 295 bytes.
    #[arg(long, default_value_t = 1_000_000)]
    pub isn: u32,
    /// Open connections of Multipath TCP, and let them fall back to TCP.
    #[arg(long)]
    pub mptcp: bool,
    /// What to do on every connection, in order; see the module `step` for the language.
    #[arg(long = "do", value_name = "STEP")]
    pub steps: Vec<Step>,
}

/// Connects, does the steps, and stays silent until stopped.
pub fn run(args: &Args) -> Result<()> {
    let device = Device::open(&args.device, args.kernel, args.client)?;
    let mut client = Client::new(device, args.client, args.to, args.mptcp);
    // Ready before connecting: the server must not wait for us, nor the caller for a server that does not answer.
    say(&json!({"ready": true}))?;
    client.connect(args.connections, args.isn)?;
    let mut sent = Vec::new();
    for step in &args.steps {
        let done = json!({"step": step.to_string(), "segments": client.act(step)?});
        say(&done)?;
        sent.push(done);
    }
    say(&json!({"done": true, "steps": sent, "acknowledged_bytes": client.acknowledged()}))?;
    while !sys::stopped() {
        client.listen(Duration::from_millis(50))?;
    }
    say(&json!({"steps": sent, "acknowledged_bytes": client.acknowledged()}))
}
