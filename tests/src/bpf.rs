//! BPF without any library: which programs the kernel holds, a map that takes the data of its sockets, and what other programs
//! of the lab are made of.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};

// Numbers of `include/uapi/linux/bpf.h`.
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP_ELEM: libc::c_long = 1;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const MAP_GET_NEXT_KEY: libc::c_long = 4;
const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_GET_NEXT_ID: libc::c_long = 11;
const MAP_GET_NEXT_ID: libc::c_long = 12;
const MAP_GET_FD_BY_ID: libc::c_long = 14;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const MAP_TYPE_SOCKMAP: u32 = 15;
const PROG_TYPE_SK_SKB: u32 = 14;
const SK_SKB_STREAM_PARSER: u32 = 4;
const SK_SKB_STREAM_VERDICT: u32 = 5;

/// One call; the result is a descriptor where the command makes one.
fn bpf<T>(command: libc::c_long, attribute: &mut T) -> std::io::Result<i32> {
    // SAFETY: the attribute lives through the call and its size is given; the kernel takes a shorter one than its own.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attribute),
            size_of::<T>(),
        )
    };
    if done < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(done as i32)
}

fn owned(descriptor: i32) -> OwnedFd {
    // SAFETY: the kernel has just made it, for us alone.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// A map whose sockets hand each segment on as soon as it arrives, so that their receive queues stay empty.
pub struct SockMap {
    map: OwnedFd,
    next: u32,
}

impl SockMap {
    /// A map for that many sockets, with a parser that takes each skb for a message, and a verdict that lets it pass.
    pub fn new(sockets: u32) -> Result<Self> {
        let map = bpf(MAP_CREATE, &mut [MAP_TYPE_SOCKMAP, 4, 4, sockets]);
        let map = owned(map.context("cannot make a sockmap")?);
        // r0 = skb->len; exit
        let parser = [0x0000_0000_0000_1061, 0x95];
        // r0 = SK_PASS; exit
        let verdict = [0x0000_0001_0000_00b7, 0x95];
        for (program, attach) in [
            (parser, SK_SKB_STREAM_PARSER),
            (verdict, SK_SKB_STREAM_VERDICT),
        ] {
            let kind = Kind {
                program: PROG_TYPE_SK_SKB,
                attach: 0,
                function: 0,
            };
            let program = load(kind, &program)?;
            let (map, program) = (map.as_raw_fd() as u32, program.as_raw_fd() as u32);
            bpf(PROG_ATTACH, &mut [map, program, attach, 0])
                .context("cannot attach to a sockmap")?;
        }
        Ok(Self { map, next: 0 })
    }

    /// Puts a connection in.
    pub fn add(&mut self, socket: &impl AsRawFd) -> Result<()> {
        #[repr(C)]
        struct Update {
            map: u64,
            key: u64,
            value: u64,
            flags: u64,
        }
        let (key, value) = (self.next, socket.as_raw_fd());
        let mut update = Update {
            map: self.map.as_raw_fd() as u64,
            key: std::ptr::from_ref(&key) as u64,
            value: std::ptr::from_ref(&value) as u64,
            flags: 0,
        };
        bpf(MAP_UPDATE_ELEM, &mut update).context("cannot put a socket into a sockmap")?;
        self.next += 1;
        Ok(())
    }
}

/// What a program is for: its type, and for tracing where in a function it goes.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) program: u32,
    pub(crate) attach: u32,
    pub(crate) function: u32,
}

/// Loads a program.
pub(crate) fn load(kind: Kind, instructions: &[u64]) -> Result<OwnedFd> {
    /// `union bpf_attr` as far as `attach_btf_id`.
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log: [u32; 2],
        log_buffer: u64,
        version_and_flags: [u32; 2],
        name: [u8; 16],
        device: u32,
        attach: u32,
        debug: [u32; 9],
        function: u32,
        reserved: u32,
    }
    const { assert!(std::mem::offset_of!(Load, function) == 108) };
    let mut load = Load {
        kind: kind.program,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log: [0; 2],
        log_buffer: 0,
        version_and_flags: [0; 2],
        name: [0; 16],
        device: 0,
        attach: kind.attach,
        debug: [0; 9],
        function: kind.function,
        reserved: 0,
    };
    Ok(owned(
        bpf(PROG_LOAD, &mut load).context("cannot load a program")?,
    ))
}

/// Attaches a tracing program to the function that it was loaded for, until the descriptor is closed.
pub(crate) fn attach(program: &OwnedFd) -> Result<OwnedFd> {
    let mut attribute = [0_u64, program.as_raw_fd() as u64];
    let link = bpf(RAW_TRACEPOINT_OPEN, &mut attribute);
    Ok(owned(link.context("cannot attach a program")?))
}

/// A map of words by words of that many bytes.
pub(crate) fn map(kind: u32, key: u32, entries: u32) -> Result<OwnedFd> {
    let map = bpf(
        MAP_CREATE,
        &mut [kind, key, size_of::<u64>() as u32, entries],
    );
    Ok(owned(map.context("cannot make a map")?))
}

/// A word of an array.
pub(crate) fn array_word(map: &OwnedFd, index: u32) -> Result<u64> {
    let mut value = 0_u64;
    let mut lookup = [
        map.as_raw_fd() as u64,
        std::ptr::from_ref(&index) as u64,
        std::ptr::from_mut(&mut value) as u64,
        0,
    ];
    bpf(MAP_LOOKUP_ELEM, &mut lookup).context("cannot read a map")?;
    Ok(value)
}

/// How many programs there are, of whomever.
pub fn programs() -> Result<usize> {
    let mut count = 0;
    // start_id, next_id, open_flags.
    let mut attribute = [0_u32; 3];
    loop {
        match bpf(PROG_GET_NEXT_ID, &mut attribute) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(count),
            Err(error) => return Err(error).context("cannot list BPF programs"),
        }
        count += 1;
        attribute[0] = attribute[1];
    }
}

/// All maps of a name, of whomever.
pub(crate) fn maps(name: &str) -> Result<Vec<OwnedFd>> {
    /// `struct bpf_map_info` as far as the name.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        numbers: [u32; 6],
        name: [u8; 16],
    }
    let mut maps = Vec::new();
    // start_id, next_id, open_flags.
    let mut attribute = [0_u32; 3];
    loop {
        match bpf(MAP_GET_NEXT_ID, &mut attribute) {
            Ok(_) => attribute[0] = attribute[1],
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(maps),
            Err(error) => return Err(error).context("cannot list BPF maps"),
        }
        // Gone since it was listed.
        let Ok(map) = bpf(MAP_GET_FD_BY_ID, &mut [attribute[0], 0, 0]) else {
            continue;
        };
        let map = owned(map);
        let mut info = Info::default();
        let mut about = [
            u64::from(map.as_raw_fd() as u32) | (size_of::<Info>() as u64) << 32,
            std::ptr::from_mut(&mut info) as u64,
        ];
        bpf(OBJ_GET_INFO_BY_FD, &mut about).context("cannot look at a BPF map")?;
        let named = info.name.split(|byte| *byte == 0).next();
        if named == Some(name.as_bytes()) {
            maps.push(map);
        }
    }
}

/// The key after one, or the first; whether there is one.
pub(crate) fn next_key(map: i32, key: Option<&[u8]>, next: &mut [u8]) -> Result<bool> {
    let mut attribute = [
        map as u64,
        key.map_or(0, |key| key.as_ptr() as u64),
        next.as_mut_ptr() as u64,
    ];
    match bpf(MAP_GET_NEXT_KEY, &mut attribute) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error).context("cannot read the keys of a BPF map"),
    }
}
