//! Cuts the kernel's type information (BTF, `Documentation/bpf/btf.rst`) down to what tests need: some structs with everything that
//! lies in them by value, some functions with their number of arguments, some typedefs and enums. Pointers point to nothing,
//! and arguments have no types.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

const HEADER: usize = 24;
const MAGIC: u16 = 0xeb9f;

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const FLOAT: u32 = 16;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// What is kept, by name.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'a> {
    /// Structs and unions.
    pub structs: Vec<&'a str>,
    /// Functions.
    pub functions: Vec<&'a str>,
    /// Typedefs.
    pub typedefs: Vec<String>,
    /// Enumerators; the enum of each is kept whole.
    pub enumerators: Vec<&'a str>,
}

struct Blob<'a> {
    data: &'a [u8],
    strings: &'a [u8],
    /// Where each type starts; ids start at 1.
    types: Vec<usize>,
}

/// The same BTF with nothing but what is wanted.
pub fn cut(data: &[u8], wanted: &Wanted<'_>) -> Result<Vec<u8>> {
    let blob = Blob::read(data)?;
    let mut cut = Cut {
        blob: &blob,
        wanted,
        ids: BTreeMap::new(),
        types: Vec::new(),
        strings: vec![0],
        places: BTreeMap::new(),
    };
    for id in 1..=blob.types.len() as u32 {
        if blob.is_wanted(id, wanted)? {
            cut.keep(id)?;
        }
    }
    Ok(cut.bytes())
}

/// The id of a function.
pub fn function_id(data: &[u8], name: &str) -> Result<u32> {
    let blob = Blob::read(data)?;
    for id in 1..=blob.types.len() as u32 {
        let at = blob.at(id)?;
        let kind = blob.word(at + 4)? >> 24 & 0x1f;
        if kind == FUNC && blob.string(blob.word(at)?)? == name {
            return Ok(id);
        }
    }
    bail!("this kernel's BTF has no function {name}")
}

impl<'a> Blob<'a> {
    fn read(data: &'a [u8]) -> Result<Self> {
        ensure!(
            data.get(..2) == Some(&MAGIC.to_le_bytes()[..]),
            "this is no BTF"
        );
        let word = |at| word(data, at);
        let header = word(4)? as usize;
        let section = |offset: u32, size: u32| {
            let start = header + offset as usize;
            let range = start..start + size as usize;
            data.get(range.clone()).context("a section is cut off")?;
            anyhow::Ok(range)
        };
        let all = section(word(8)?, word(12)?)?;
        let strings = &data[section(word(16)?, word(20)?)?];
        let (mut types, mut at) = (Vec::new(), all.start);
        while at < all.end {
            types.push(at);
            at += 12 + body(word(at + 4)?)?;
        }
        Ok(Self {
            data,
            strings,
            types,
        })
    }

    fn at(&self, id: u32) -> Result<usize> {
        let index = (id as usize).checked_sub(1).context("type 0 is void")?;
        self.types.get(index).copied().context("no such type")
    }

    fn word(&self, at: usize) -> Result<u32> {
        word(self.data, at)
    }

    fn string(&self, offset: u32) -> Result<&'a str> {
        let rest = self
            .strings
            .get(offset as usize..)
            .context("no such name")?;
        let end = rest
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(rest.len());
        Ok(std::str::from_utf8(&rest[..end])?)
    }

    fn is_wanted(&self, id: u32, wanted: &Wanted<'_>) -> Result<bool> {
        let at = self.at(id)?;
        let info = self.word(at + 4)?;
        let name = self.string(self.word(at)?)?;
        Ok(match kind(info) {
            STRUCT | UNION => wanted.structs.contains(&name),
            FUNC => wanted.functions.contains(&name),
            TYPEDEF => wanted.typedefs.iter().any(|it| it == name),
            ENUM | ENUM64 => {
                let size = entry(info);
                let mut found = false;
                for index in 0..vlen(info) {
                    let name = self.string(self.word(at + 12 + index * size)?)?;
                    found |= wanted.enumerators.contains(&name);
                }
                found
            }
            _ => false,
        })
    }
}

struct Cut<'a> {
    blob: &'a Blob<'a>,
    wanted: &'a Wanted<'a>,
    /// New id of each type that is kept.
    ids: BTreeMap<u32, u32>,
    types: Vec<Vec<u32>>,
    strings: Vec<u8>,
    /// Where each string is.
    places: BTreeMap<&'a str, u32>,
}

impl<'a> Cut<'a> {
    /// Keeps a type and whatever it holds by value; returns its new id.
    fn keep(&mut self, id: u32) -> Result<u32> {
        if id == 0 {
            return Ok(0);
        }
        if let Some(&known) = self.ids.get(&id) {
            return Ok(known);
        }
        self.types.push(Vec::new());
        let new = self.types.len() as u32;
        self.ids.insert(id, new);

        let at = self.blob.at(id)?;
        let word = |index: usize| self.blob.word(at + 4 * index);
        let info = word(1)?;
        let mut words = vec![0, info, word(2)?];
        let size = entry(info) / 4;
        let raw: Vec<u32> = (3..3 + body(info)? / 4).map(word).collect::<Result<_>>()?;
        words[0] = self.name(word(0)?)?;
        match kind(info) {
            PTR => words[2] = 0,
            TYPEDEF if self.wanted.typedefs.iter().any(|it| self.named(at, it)) => words[2] = 0,
            TYPEDEF..=RESTRICT | FUNC | TYPE_TAG => words[2] = self.keep(words[2])?,
            ARRAY => words.extend([self.keep(raw[0])?, self.keep(raw[1])?, raw[2]]),
            STRUCT | UNION => {
                for member in raw.chunks(size) {
                    let (name, ty) = (self.name(member[0])?, self.keep(member[1])?);
                    words.extend([name, ty, member[2]]);
                }
            }
            FUNC_PROTO => {
                words[2] = 0;
                words.extend(raw.iter().map(|_| 0));
            }
            ENUM | ENUM64 => {
                for one in raw.chunks(size) {
                    words.push(self.name(one[0])?);
                    words.extend(&one[1..]);
                }
            }
            _ => words.extend(raw),
        }
        self.types[new as usize - 1] = words;
        Ok(new)
    }

    fn named(&self, at: usize, name: &str) -> bool {
        let offset = self.blob.word(at).unwrap_or(0);
        self.blob.string(offset).is_ok_and(|it| it == name)
    }

    fn name(&mut self, offset: u32) -> Result<u32> {
        let name = self.blob.string(offset)?;
        if name.is_empty() {
            return Ok(0);
        }
        let strings = &mut self.strings;
        Ok(*self.places.entry(name).or_insert_with(|| {
            let place = strings.len() as u32;
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
            place
        }))
    }

    fn bytes(&self) -> Vec<u8> {
        let types: Vec<u8> = self
            .types
            .iter()
            .flatten()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let (types_len, strings_len) = (types.len() as u32, self.strings.len() as u32);
        // Magic, version 1, no flags.
        let first = u32::from(MAGIC) | 1 << 16;
        let header = [first, HEADER as u32, 0, types_len, types_len, strings_len];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(types);
        bytes.extend(&self.strings);
        bytes
    }
}

const fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

const fn vlen(info: u32) -> usize {
    (info & 0xffff) as usize
}

/// Bytes of each of the entries that follow a type of this kind.
const fn entry(info: u32) -> usize {
    match kind(info) {
        STRUCT | UNION | DATASEC | ENUM64 => 12,
        _ => 8,
    }
}

/// Bytes that follow the first three words of a type.
fn body(info: u32) -> Result<usize> {
    Ok(match kind(info) {
        INT | VAR | DECL_TAG => 4,
        ARRAY => 12,
        STRUCT | UNION | DATASEC | ENUM64 | ENUM | FUNC_PROTO => vlen(info) * entry(info),
        PTR | FWD..=FUNC | FLOAT | TYPE_TAG => 0,
        other => bail!("kind {other} is not known"),
    })
}

fn word(data: &[u8], at: usize) -> Result<u32> {
    let bytes = data.get(at..at + 4).context("it is cut off")?;
    Ok(u32::from_le_bytes(bytes.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: &[u8] = include_bytes!("../kernels/6.12/btf");

    fn wanted() -> Wanted<'static> {
        Wanted {
            structs: vec!["sk_buff"],
            functions: vec!["tcp_data_queue"],
            ..Wanted::default()
        }
    }

    #[test]
    fn what_was_cut_is_cut_no_further() {
        let cut_once = cut(TYPES, &wanted()).unwrap();
        assert!(cut_once.len() < TYPES.len());
        assert_eq!(cut(&cut_once, &wanted()).unwrap(), cut_once);
    }

    #[test]
    fn every_truncation_is_an_error() {
        for len in (0..TYPES.len()).step_by(97) {
            assert!(cut(&TYPES[..len], &wanted()).is_err(), "{len}");
        }
    }
}
