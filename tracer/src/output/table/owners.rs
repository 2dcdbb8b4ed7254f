//! Sections of the table on owners: victims, culprits, holders.

use super::heading;
use crate::{
    output::{
        columns::Columns,
        page::Page,
        size,
        words::{self, ABSENT, number},
    },
    report::{Culprit, Holder, Victim},
};

const VICTIM_HEAD: [&str; 10] = [
    "OWNER",
    "REFUSED",
    "RCV",
    "OFO",
    "REPAIR",
    "PRUNES",
    "GAVE UP",
    "OFO PRUNES",
    "MERGED",
    "STALL",
];
/// What a wide page shows besides.
const VICTIM_MORE: [&str; 6] = ["FORCED", "WINDOW 0", "BACKLOG", "ABORTS", "LISTEN", "NETNS"];

/// The heads of an ordinary page, or of a wide one.
fn head(wide: bool, usual: &[&'static str], more: &[&'static str]) -> Vec<&'static str> {
    let more = if wide { more } else { &[] };
    [usual, more].concat()
}

/// The network namespace, or how many.
fn netns(inums: &[String]) -> String {
    match inums {
        [] => ABSENT.to_owned(),
        [one] => one.clone(),
        many => format!("{} of them", many.len()),
    }
}

/// Who suffered.
pub(super) fn victims(out: &mut Page, victims: &[Victim], culprits: &[Culprit]) {
    heading(out, "VICTIMS");
    if victims.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let wide = out.style.wide;
    let mut table = Columns::new(&head(wide, &VICTIM_HEAD, &VICTIM_MORE));
    for victim in victims {
        let refusals = &victim.refusals;
        let contact = victim.owner.contact_words();
        let mut cells = vec![
            victim.owner.name.clone(),
            victim.refused().to_string(),
            number(refusals.rcv),
            number(refusals.ofo),
            number(refusals.send_rcvq),
            number(victim.prunes),
            number(victim.rcv_pruned),
            number(victim.ofo_prunes),
            number(victim.collapsed_skbs),
            victim
                .stall_ns
                .map_or_else(|| ABSENT.to_owned(), size::nanos),
        ];
        if wide {
            cells.extend([
                number(victim.forced_admissions),
                number(victim.zero_window_drops),
                number(victim.backlog_drops),
                number(victim.aborts_on_memory),
                number(victim.listen_drops),
                netns(&victim.netns),
            ]);
        }
        table.row_with(contact.as_deref(), &cells);
        table.note(&words::victim::sentences(victim).join("; "));
        // Of a culprit it stands there.
        let accused = |culprit: &Culprit| culprit.holder.owner == victim.owner;
        let context = victim.context.as_ref();
        if let Some(context) = context.filter(|_| !culprits.iter().any(accused)) {
            table.note(&words::context::sentence(context));
        }
    }
    table.write(out);
}

const HOLDER_HEAD: [&str; 8] = [
    "OWNER", "HELD", "SHARE", "GROWTH", "SOCKETS", "RECEIVE", "SEND", "UNREAD",
];

/// What a wide page shows besides.
const HOLDER_MORE: [&str; 5] = ["RESERVED", "ORPHANS", "NOT ACCEPTED", "UNLISTED", "NETNS"];

fn holder_row(wide: bool, table: &mut Columns, holder: &Holder) {
    let contact = holder.owner.contact_words();
    let mut cells = vec![
        holder.owner.name.clone(),
        size::bytes(holder.held_bytes),
        holder
            .share
            .map_or_else(|| ABSENT.to_owned(), size::percent),
        holder
            .growth_bytes
            .map_or_else(|| ABSENT.to_owned(), size::change),
        holder.sockets.to_string(),
        size::bytes(holder.receive_bytes),
        size::bytes(holder.send_bytes),
        size::bytes(holder.unread_bytes),
    ];
    if wide {
        cells.extend([
            size::bytes(holder.forward_bytes),
            holder.orphans.to_string(),
            holder.not_accepted_sockets.to_string(),
            holder.unlisted_sockets.to_string(),
            netns(&holder.netns),
        ]);
    }
    table.row_with(contact.as_deref(), &cells);
    if !wide {
        table.note(&words::holder::states(holder).join("; "));
    } else {
        table.note(&words::holder::all_states(holder).join("; "));
    }
    table.note(&words::holder::sentences(holder).join("; "));
    // The largest has been told.
    for socket in holder.top_sockets.iter().skip(1).filter(|_| wide) {
        table.note(&format!("socket {}", words::holder::top_socket(socket)));
    }
}

/// Who is accused, and why.
pub(super) fn culprits(out: &mut Page, culprits: &[Culprit]) {
    heading(out, "CULPRITS");
    if culprits.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&head(out.style.wide, &HOLDER_HEAD, &HOLDER_MORE));
    for culprit in culprits {
        holder_row(out.style.wide, &mut table, &culprit.holder);
        table.note(&culprit.why);
        if let Some(context) = &culprit.context {
            table.note(&words::context::sentence(context));
        }
    }
    table.write(out);
}

/// Who holds memory, where nobody is accused.
pub(super) fn holders(out: &mut Page, holders: &[Holder]) {
    heading(out, "HOLDERS (a fact, not an accusation)");
    if holders.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&head(out.style.wide, &HOLDER_HEAD, &HOLDER_MORE));
    for holder in holders {
        holder_row(out.style.wide, &mut table, holder);
    }
    table.write(out);
}
