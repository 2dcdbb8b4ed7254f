//! A small reader of BTF, the kernel's own type information: which functions it has and with how many
//! arguments, where a field lies and how large it is. It knows the format
//! (`include/uapi/linux/btf.h`, `Documentation/bpf/btf.rst`) and nothing of what is looked up.

use thiserror::Error;

/// Why a BTF blob cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// It does not start with the magic number of a little-endian BTF.
    #[error("not a BTF file (bad magic)")]
    Magic,
    /// A section or a type reaches beyond its end.
    #[error("BTF is cut off at type {0}")]
    Truncated(usize),
    /// A kind of type that this reader does not know, so that it cannot step over it.
    #[error("BTF type {0} is of the unknown kind {1}")]
    Kind(usize, u32),
}

/// A parsed BTF blob.
pub struct Btf {
    data: Vec<u8>,
    /// Offset of each type in `data`; type ids start at 1.
    types: Vec<usize>,
    strings: std::ops::Range<usize>,
}

/// Where a field lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldAt {
    /// Offset from the start of the outermost struct, in bits.
    pub bit_offset: u32,
    /// Width of a bit field in bits; `None` for an ordinary member.
    pub bits: Option<u32>,
    /// Size of the member's type in bytes.
    pub size: u32,
}

const MAGIC: u16 = 0xeb9f;

mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// Chains of typedefs and nested structs longer than this are a lie.
const MAX_DEPTH: usize = 32;

impl Btf {
    /// Parses a blob, such as the content of `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// When it is not BTF, is cut off, or holds a kind of type that is not known.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let word = |at: usize| u32_at(&data, at).ok_or(BtfError::Truncated(0));
        if data.get(..2) != Some(&MAGIC.to_le_bytes()) {
            return Err(BtfError::Magic);
        }
        let header = word(4)? as usize;
        let section = |offset: u32, len: u32| -> Result<std::ops::Range<usize>, BtfError> {
            let start = header
                .checked_add(offset as usize)
                .ok_or(BtfError::Truncated(0))?;
            let end = start
                .checked_add(len as usize)
                .ok_or(BtfError::Truncated(0))?;
            if end > data.len() {
                Err(BtfError::Truncated(0))
            } else {
                Ok(start..end)
            }
        };
        let type_section = section(word(8)?, word(12)?)?;
        let strings = section(word(16)?, word(20)?)?;

        let mut types = Vec::new();
        let mut at = type_section.start;
        while at < type_section.end {
            let id = types.len() + 1;
            let info = u32_at(&data, at + 4).ok_or(BtfError::Truncated(id))?;
            let vlen = (info & 0xffff) as usize;
            let body = match (info >> 24) & 0x1f {
                kind::INT | kind::VAR | kind::DECL_TAG => 4,
                kind::ARRAY => 12,
                kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => vlen * 12,
                kind::ENUM | kind::FUNC_PROTO => vlen * 8,
                kind::PTR
                | kind::FWD
                | kind::TYPEDEF
                | kind::VOLATILE
                | kind::CONST
                | kind::RESTRICT
                | kind::FUNC
                | kind::FLOAT
                | kind::TYPE_TAG => 0,
                other => return Err(BtfError::Kind(id, other)),
            };
            types.push(at);
            at += 12 + body;
            if at > type_section.end {
                return Err(BtfError::Truncated(id));
            }
        }
        Ok(Self {
            data,
            types,
            strings,
        })
    }

    /// Number of arguments of a kernel function; `None` where there is no such function.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<usize> {
        let func = self.find(name, &[kind::FUNC])?;
        let proto = self.ty(func.word)?;
        (proto.kind == kind::FUNC_PROTO).then_some(proto.vlen)
    }

    /// Whether there is a raw tracepoint of this name.
    #[must_use]
    pub fn tracepoint(&self, name: &str) -> bool {
        self.find(&format!("btf_trace_{name}"), &[kind::TYPEDEF])
            .is_some()
    }

    /// Where a field lies, by a path such as `sock.sk_backlog.rmem_alloc.counter`. Anonymous members are
    /// descended into, typedefs and qualifiers looked through; pointers are not followed.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<FieldAt> {
        let mut names = path.split('.');
        let mut ty = self.find(names.next()?, &[kind::STRUCT, kind::UNION])?;
        let mut found: Option<FieldAt> = None;
        for name in names {
            let (member, offset) = self.member(ty, name, 0)?;
            let before = found.map_or(0, |outer| outer.bit_offset);
            found = Some(FieldAt {
                bit_offset: before.checked_add(offset)?,
                bits: member.bits,
                size: self.size(member.type_id, 0)?,
            });
            ty = self.strip(member.type_id)?;
        }
        found
    }

    /// Values of enumerators, whatever enum they are of (that of `LINUX_MIB_*` has no name). `None` for
    /// one that there is not.
    #[must_use]
    pub fn enumerators(&self, names: &[&str]) -> Vec<Option<u32>> {
        let mut values = vec![None; names.len()];
        for id in 1..=self.types.len() as u32 {
            let Some(ty) = self.ty(id) else { continue };
            let size = match ty.kind {
                kind::ENUM => 8,
                kind::ENUM64 => 12,
                _ => continue,
            };
            for index in 0..ty.vlen {
                let at = ty.at + 12 + index * size;
                let (Some(name), Some(value)) =
                    (u32_at(&self.data, at), u32_at(&self.data, at + 4))
                else {
                    continue;
                };
                if let Some(which) = names.iter().position(|want| self.name_is(name, want)) {
                    values[which].get_or_insert(value);
                }
            }
        }
        values
    }

    fn find(&self, name: &str, kinds: &[u32]) -> Option<Type> {
        (1..=self.types.len() as u32).find_map(|id| {
            let ty = self.ty(id)?;
            (kinds.contains(&ty.kind) && self.name_is(ty.name, name)).then_some(ty)
        })
    }

    fn ty(&self, id: u32) -> Option<Type> {
        let at = *self.types.get((id as usize).checked_sub(1)?)?;
        let info = u32_at(&self.data, at + 4)?;
        Some(Type {
            at,
            name: u32_at(&self.data, at)?,
            kind: (info >> 24) & 0x1f,
            vlen: (info & 0xffff) as usize,
            bit_fields: info >> 31 == 1,
            word: u32_at(&self.data, at + 8)?,
        })
    }

    /// Looks through typedefs, qualifiers and tags.
    fn strip(&self, id: u32) -> Option<Type> {
        let mut ty = self.ty(id)?;
        for _ in 0..MAX_DEPTH {
            match ty.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    ty = self.ty(ty.word)?;
                }
                _ => return Some(ty),
            }
        }
        None
    }

    fn size(&self, id: u32, depth: usize) -> Option<u32> {
        if depth > MAX_DEPTH {
            return None;
        }
        let ty = self.strip(id)?;
        match ty.kind {
            kind::PTR => Some(8),
            kind::ARRAY => {
                let element = u32_at(&self.data, ty.at + 12)?;
                let count = u32_at(&self.data, ty.at + 20)?;
                self.size(element, depth + 1)?.checked_mul(count)
            }
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::FLOAT => {
                Some(ty.word)
            }
            _ => None,
        }
    }

    /// A member by name, with its offset in bits from the start of `ty`.
    fn member(&self, ty: Type, name: &str, depth: usize) -> Option<(Member, u32)> {
        if depth > MAX_DEPTH || !matches!(ty.kind, kind::STRUCT | kind::UNION) {
            return None;
        }
        (0..ty.vlen).find_map(|n| {
            let at = ty.at + 12 + n * 12;
            let type_id = u32_at(&self.data, at + 4)?;
            let raw = u32_at(&self.data, at + 8)?;
            let (offset, bits) = if ty.bit_fields {
                (raw & 0x00ff_ffff, Some(raw >> 24).filter(|&bits| bits != 0))
            } else {
                (raw, None)
            };
            let member_name = u32_at(&self.data, at)?;
            if member_name == 0 || self.name_is(member_name, "") {
                let (member, inner) = self.member(self.strip(type_id)?, name, depth + 1)?;
                return Some((member, offset.checked_add(inner)?));
            }
            self.name_is(member_name, name)
                .then_some((Member { type_id, bits }, offset))
        })
    }

    fn name_is(&self, offset: u32, name: &str) -> bool {
        let start = self.strings.start + offset as usize;
        let end = start + name.len();
        end < self.strings.end && &self.data[start..end] == name.as_bytes() && self.data[end] == 0
    }
}

#[derive(Clone, Copy)]
struct Type {
    at: usize,
    name: u32,
    kind: u32,
    vlen: usize,
    bit_fields: bool,
    /// Size or type, by kind.
    word: u32,
}

#[derive(Clone, Copy)]
struct Member {
    type_id: u32,
    bits: Option<u32>,
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
#[path = "btf_tests.rs"]
mod tests;
