//! Blobs made by hand after `Documentation/bpf/btf.rst`: what is written is what must be read.

use super::*;

/// Writes a blob type by type; ids count from 1.
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    last: u32,
}

impl Writer {
    fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
            last: 0,
        }
    }

    fn name(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn ty(&mut self, name: &str, kind: u32, flag: bool, vlen: u32, word: u32, rest: &[u32]) -> u32 {
        let name = self.name(name);
        let info = (u32::from(flag) << 31) | (kind << 24) | vlen;
        for value in [name, info, word].iter().chain(rest) {
            self.types.extend(value.to_le_bytes());
        }
        self.last += 1;
        self.last
    }

    fn int(&mut self, name: &str, bytes: u32) -> u32 {
        self.ty(name, kind::INT, false, 0, bytes, &[bytes * 8])
    }

    /// `members`: name, type, and offset in bits, or width and offset of a bit field.
    fn aggregate(
        &mut self,
        kind: u32,
        name: &str,
        bytes: u32,
        members: &[(&str, u32, u32)],
    ) -> u32 {
        self.members(kind, name, bytes, false, members)
    }

    fn members(
        &mut self,
        kind: u32,
        name: &str,
        bytes: u32,
        bit_fields: bool,
        members: &[(&str, u32, u32)],
    ) -> u32 {
        let mut rest = Vec::new();
        for &(name, ty, offset) in members {
            rest.extend([self.name(name), ty, offset]);
        }
        self.ty(name, kind, bit_fields, members.len() as u32, bytes, &rest)
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        blob.extend(MAGIC.to_le_bytes());
        blob.extend([1, 0]);
        for word in [
            24,
            0,
            self.types.len() as u32,
            self.types.len() as u32,
            self.strings.len() as u32,
        ] {
            blob.extend(word.to_le_bytes());
        }
        blob.extend(&self.types);
        blob.extend(&self.strings);
        blob
    }
}

/// A `sock` with the shapes that real kernels have: nested and anonymous members, typedefs, qualifiers.
fn sock() -> Vec<u8> {
    let mut w = Writer::new();
    let int = w.int("int", 4);
    let atomic = w.aggregate(kind::STRUCT, "", 4, &[("counter", int, 0)]);
    let atomic_t = w.ty("atomic_t", kind::TYPEDEF, false, 0, atomic, &[]);
    let backlog = w.aggregate(
        kind::STRUCT,
        "",
        24,
        &[("rmem_alloc", atomic_t, 0), ("len", int, 32)],
    );
    let inner = w.aggregate(
        kind::UNION,
        "",
        4,
        &[("skc_daddr", int, 0), ("skc_hash", int, 0)],
    );
    let volatile = w.ty("", kind::VOLATILE, false, 0, int, &[]);
    let pointer = w.ty("", kind::PTR, false, 0, int, &[]);
    let array = w.ty("", kind::ARRAY, false, 0, 0, &[int, int, 12]);
    let byte = w.int("u8", 1);
    w.members(
        kind::STRUCT,
        "flags",
        2,
        true,
        &[("whole", byte, 0), ("bit", byte, (1 << 24) | 14)],
    );
    w.aggregate(
        kind::STRUCT,
        "sock",
        128,
        &[
            ("", inner, 64),
            ("sk_backlog", backlog, 192 * 8),
            ("sk_rcvbuf", volatile, 244 * 8),
            ("sk_memcg", pointer, 296 * 8),
            ("cb", array, 320 * 8),
        ],
    );
    let proto = w.ty(
        "",
        kind::FUNC_PROTO,
        false,
        3,
        int,
        &[0, pointer, 0, pointer, 0, int],
    );
    w.ty("tcp_try_rmem_schedule", kind::FUNC, false, 0, proto, &[]);
    w.ty(
        "btf_trace_cgroup_mkdir",
        kind::TYPEDEF,
        false,
        0,
        pointer,
        &[],
    );
    w.blob()
}

fn at(bytes: u32, size: u32) -> Option<FieldAt> {
    Some(FieldAt {
        bit_offset: bytes * 8,
        bits: None,
        size,
    })
}

#[test]
fn fields_are_found_through_nested_anonymous_and_qualified_members() {
    let btf = Btf::parse(sock()).unwrap();
    assert_eq!(btf.field("sock.sk_backlog.rmem_alloc.counter"), at(192, 4));
    assert_eq!(btf.field("sock.sk_backlog.len"), at(196, 4));
    assert_eq!(btf.field("sock.skc_hash"), at(8, 4));
    assert_eq!(btf.field("sock.sk_rcvbuf"), at(244, 4));
    assert_eq!(btf.field("sock.sk_memcg"), at(296, 8));
    assert_eq!(btf.field("sock.cb"), at(320, 48));
}

#[test]
fn what_is_not_there_is_absent() {
    let btf = Btf::parse(sock()).unwrap();
    for path in [
        "sock.sk_cgrp_data",
        "sk_buff.len",
        "sock.sk_memcg.css",
        "sock.sk_rcv",
        "",
    ] {
        assert_eq!(btf.field(path), None, "{path}");
    }
    assert_eq!(btf.function("tcp_prune_queue"), None);
    assert!(!btf.tracepoint("tcp_destroy_sock"));
}

#[test]
fn bit_fields_tell_their_width() {
    let btf = Btf::parse(sock()).unwrap();
    let bit = btf.field("flags.bit").unwrap();
    assert_eq!((bit.bit_offset, bit.bits), (14, Some(1)));
    assert_eq!(btf.field("flags.whole").unwrap().bits, None);
}

#[test]
fn functions_tell_their_arguments_and_tracepoints_their_presence() {
    let btf = Btf::parse(sock()).unwrap();
    assert_eq!(btf.function("tcp_try_rmem_schedule"), Some(3));
    assert!(btf.tracepoint("cgroup_mkdir"));
}

#[test]
fn a_field_of_another_size_counts_as_absent() {
    let mut w = Writer::new();
    let long = w.int("long", 8);
    w.aggregate(kind::STRUCT, "sock", 16, &[("sk_rcvbuf", long, 64)]);
    let resolved = crate::kernel::layout::resolve(&Btf::parse(w.blob()).unwrap());
    assert!(resolved.absent.contains(&"sock_rcvbuf"));
    assert_eq!(resolved.layout.sock_rcvbuf, tracer_common::layout::ABSENT);
}

#[test]
fn every_cut_is_an_error_and_no_panic() {
    let whole = sock();
    for len in 0..whole.len() {
        assert!(Btf::parse(whole[..len].to_vec()).is_err(), "{len}");
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let whole = sock();
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bent = whole.clone();
            bent[at] = value;
            if let Ok(btf) = Btf::parse(bent) {
                let _ = btf.field("sock.sk_backlog.rmem_alloc.counter");
                let _ = btf.field("sock.skc_hash");
                let _ = btf.field("sock.cb");
                let _ = btf.function("tcp_try_rmem_schedule");
            }
        }
    }
}

#[test]
fn foreign_files_are_refused() {
    assert_eq!(Btf::parse(Vec::new()).err(), Some(BtfError::Magic));
    assert_eq!(
        Btf::parse(b"\x7fELF and so on".to_vec()).err(),
        Some(BtfError::Magic)
    );
    let mut w = Writer::new();
    w.ty("", 27, false, 0, 0, &[]);
    assert_eq!(Btf::parse(w.blob()).err(), Some(BtfError::Kind(1, 27)));
}
