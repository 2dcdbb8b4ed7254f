//! Fills the [`Layout`] constant from BTF.

use tracer_common::{
    Layout,
    layout::{ABSENT, Field},
};

use super::btf::Btf;

/// What could be resolved, and what could not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The offsets.
    pub layout: Layout,
    /// Names of members of [`Layout`] that this kernel does not have, or has in another form.
    pub absent: Vec<&'static str>,
}

/// Fields without which nothing can be counted.
pub const REQUIRED: &[&str] = &[
    "sock_rmem_alloc",
    "sock_rcvbuf",
    "sock_net",
    "sock_protocol",
    "net_inum",
    "tcp_rcv_nxt",
    "skb_len",
    "skb_cb",
];

/// A function of the kernel that is there where tracing programs may ask for the cookie of a socket.
pub const COOKIE_HELPER: &str = "bpf_get_socket_ptr_cookie";

/// Resolves every field of [`Layout`] in the running kernel's BTF.
#[must_use]
pub fn resolve(btf: &Btf) -> Resolved {
    let mut layout = Layout::ABSENT;
    let mut absent = Vec::new();
    for field in Layout::FIELDS {
        let offset = offset_of(btf, field);
        (field.set)(&mut layout, offset);
        if offset == ABSENT {
            absent.push(field.name);
        }
    }
    for bit in Layout::BITS {
        match btf.field(bit.path).filter(|at| at.bits == Some(1)) {
            Some(at) => (bit.set)(&mut layout, at.bit_offset / 8, 1 << (at.bit_offset % 8)),
            None => absent.push(bit.name),
        }
    }
    let names: Vec<&str> = Layout::NUMBERS.iter().map(|n| n.enumerator).collect();
    let values = btf.enumerators(&names);
    for (number, value) in Layout::NUMBERS.iter().zip(values) {
        match value {
            Some(value) => (number.set)(&mut layout, value),
            None => absent.push(number.name),
        }
    }
    layout.has_socket_cookie_helper = u32::from(btf.function(COOKIE_HELPER).is_some());
    Resolved { layout, absent }
}

/// The first path that leads to a whole number of bytes of the size that the programs read.
fn offset_of(btf: &Btf, field: &Field) -> u32 {
    field
        .paths
        .iter()
        .filter_map(|path| btf.field(path))
        .find(|at| at.bits.is_none() && at.bit_offset % 8 == 0 && at.size == field.size)
        .map_or(ABSENT, |at| at.bit_offset / 8)
}
