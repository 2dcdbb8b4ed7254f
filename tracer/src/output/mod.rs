//! Renderings of the report model, each from the model alone.

pub mod checkup;
mod columns;
pub mod events;
mod format;
pub mod html;
pub mod json;
pub mod markdown;
pub mod merged;
mod page;
pub mod size;
pub mod table;
pub mod text;
pub mod ticket;
mod words;

pub use format::{Format, render, render_in};
pub use page::Style;
