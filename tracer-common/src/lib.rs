//! The binary interface between the kernel programs and user space: map keys, map values, ring-buffer
//! records, and the two constants that user space sets before load ([`Layout`], [`Settings`]).
//!
//! Everything here is plain data without padding, `bool` or `enum`, in the byte order of the machine.
//! A change of a layout raises [`ABI_VERSION`], but for [`flight`], which no capture carries.
#![no_std]

#[cfg(feature = "user")]
extern crate std;

pub mod compared;
pub mod event;
pub mod exempt;
pub mod flight;
pub mod layout;
#[cfg(feature = "user")]
pub mod list;
pub mod lost;
pub mod selfcheck;
pub mod settings;
pub mod socket;
pub mod tally;

pub use compared::Compared;
pub use event::{CgroupRecord, EventRecord, TimelineRecord};
pub use flight::{Frame, Judgement, Verdict};
pub use layout::Layout;
pub use settings::Settings;
pub use socket::{SocketState, Tuple};
pub use tally::{TallyKey, TallyValue};

/// Version of everything in this crate; it travels in captures.
pub const ABI_VERSION: u32 = 3;

/// Marks a kernel type as transferable through a map in user space.
macro_rules! pod {
    ($($name:ty),+ $(,)?) => {
        $(
            // SAFETY: the type derives `IntoBytes` and `FromBytes`, so every byte of it is
            // initialised and every bit pattern is valid, which is what `Pod` asks for.
            #[cfg(feature = "user")]
            unsafe impl aya::Pod for $name {}
        )+
    };
}
pub(crate) use pod;
