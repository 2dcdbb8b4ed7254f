//! Sections of the table on owners: victims, culprits, holders.

use super::heading;
use crate::{
    output::{
        columns::Columns,
        size,
        words::{self, ABSENT, number},
    },
    report::{Culprit, Holder, Victim},
};

/// Who suffered.
pub(super) fn victims(out: &mut String, victims: &[Victim], culprits: &[Culprit]) {
    heading(out, "VICTIMS");
    if victims.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&[
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
    ]);
    for victim in victims {
        let refusals = &victim.refusals;
        let contact = victim.owner.contact_words();
        table.row_with(
            contact.as_deref(),
            &[
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
            ],
        );
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

fn holder_row(table: &mut Columns, holder: &Holder) {
    let contact = holder.owner.contact_words();
    table.row_with(
        contact.as_deref(),
        &[
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
        ],
    );
    table.note(&words::holder::states(holder).join("; "));
    table.note(&words::holder::sentences(holder).join("; "));
}

/// Who is accused, and why.
pub(super) fn culprits(out: &mut String, culprits: &[Culprit]) {
    heading(out, "CULPRITS");
    if culprits.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&HOLDER_HEAD);
    for culprit in culprits {
        holder_row(&mut table, &culprit.holder);
        table.note(&culprit.why);
        if let Some(context) = &culprit.context {
            table.note(&words::context::sentence(context));
        }
    }
    table.write(out);
}

/// Who holds memory, where nobody is accused.
pub(super) fn holders(out: &mut String, holders: &[Holder]) {
    heading(out, "HOLDERS (a fact, not an accusation)");
    if holders.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Columns::new(&HOLDER_HEAD);
    for holder in holders {
        holder_row(&mut table, holder);
    }
    table.write(out);
}
