//! What becomes of the rows of a room when a document that is set aside makes room for another one.

use bytes::Bytes;
use coweave_core::client::SetAsideCopy;
use coweave_core::doc::replica::Replica;
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;

use crate::device_log::{Row, RowKey};

/// Which rows go, and what is to be kept of them beside the copy.
///
/// What is in the copy goes. The rest, as of a tab that the session has not heard of, stays; or it is
/// set aside, too, when the history is over that it belongs to. `client` is an id that nobody uses.
pub(crate) fn make_room(
    copy: &SetAsideCopy,
    rows: Vec<Row>,
    client: ClientId,
) -> (Vec<RowKey>, Vec<SetAsideCopy>) {
    let limits = Limits::default().for_taken();
    let is_over = matches!(copy.error.code, Code::RoomDeleted | Code::RoomLineageMismatch);
    let beside = |update| SetAsideCopy::new(copy.error.clone(), update);
    let mut replica = Replica::new(client);
    // A copy that is no whole document has nothing in it that a row builds on.
    drop(replica.apply(&copy.update, &limits));
    let (mut rest, mut gone, mut is_more) = (rows, Vec::new(), false);
    loop {
        let before = rest.len();
        rest.retain(|row| {
            let is_copy = row.update == copy.update;
            let is_new = match replica.apply(&row.update, &limits) {
                Ok(summary) => summary.is_news,
                // It may need what stands behind it.
                Err(_) if !is_copy => return true,
                Err(_) => false,
            };
            is_more |= is_new;
            if is_over || !is_new {
                gone.push(row.key.clone());
            }
            false
        });
        if rest.len() == before {
            break;
        }
    }
    let mut copies = Vec::new();
    if is_over {
        if is_more {
            copies.push(beside(Bytes::from(replica.state())));
        }
        for Row { key, update } in rest {
            gone.push(key);
            copies.push(beside(update));
        }
    }
    (gone, copies)
}

#[cfg(test)]
mod tests {
    use coweave_core::error::Error;

    use super::*;

    fn row(order: u64, update: Bytes) -> Row {
        Row { key: RowKey { order, writer: "writer".to_owned() }, update }
    }

    /// Edits of one session, one behind the other.
    fn typed<const N: usize>(client: u32, words: [&str; N]) -> [Bytes; N] {
        let mut replica = Replica::new(ClientId::from_u32(client));
        words.map(|word| {
            let end = replica.text_length("text");
            replica.text_insert("text", end, word).unwrap();
            replica.take_edits().unwrap()
        })
    }

    /// The orders of the rows that go, and the texts of the copies.
    fn make_room_for(
        code: Code,
        update: &Bytes,
        rows: &[Bytes],
    ) -> (Vec<u64>, Vec<Option<String>>) {
        let copy = SetAsideCopy::new(Error::new(code, "why"), update.clone());
        let rows = (1..).zip(rows).map(|(order, update)| row(order, update.clone())).collect();
        let (gone, copies) = make_room(&copy, rows, ClientId::from_u32(9));
        let mut gone: Vec<_> = gone.into_iter().map(|key| key.order).collect();
        gone.sort_unstable();
        let text = |copy: SetAsideCopy| {
            let mut replica = Replica::new(ClientId::from_u32(10));
            replica.apply(&copy.update, &Limits::default()).ok()?;
            Some(replica.text_string("text"))
        };
        (gone, copies.into_iter().map(text).collect())
    }

    #[test]
    fn what_is_in_the_copy_goes_and_what_a_tab_wrote_that_nobody_heard_of_stays() {
        let [one, two] = typed(1, ["one ", "two "]);
        let [other] = typed(2, ["other"]);
        let mut replica = Replica::new(ClientId::from_u32(3));
        replica.apply(&one, &Limits::default()).unwrap();
        replica.apply(&two, &Limits::default()).unwrap();
        let copy = Bytes::from(replica.state());
        let rows = [one, other, two];
        let (refused, over) = (Code::UpdateTooLarge, Code::RoomDeleted);
        assert_eq!(make_room_for(refused, &copy, &rows), (vec![1, 3], vec![]));
        let (gone, copies) = make_room_for(over, &copy, &rows);
        assert_eq!((gone, copies.len()), (vec![1, 2, 3], 1));
        assert_eq!(copies[0].as_ref().unwrap().len(), "one two other".len());
    }

    #[test]
    fn all_of_two_histories_is_set_aside_in_whatever_order_it_lies() {
        let [one, two] = typed(1, ["one ", "two"]);
        let [other] = typed(2, ["other"]);
        let nothing = Bytes::from_static(&[0, 0]);
        let (gone, copies) = make_room_for(Code::RoomLineageMismatch, &nothing, &[two, other, one]);
        assert_eq!((gone, copies.len()), (vec![1, 2, 3], 1));
        assert_eq!(copies[0].as_ref().unwrap().len(), "one twoother".len());
    }

    #[test]
    fn a_row_that_cannot_be_used_goes_for_the_sake_of_nothing_else() {
        let [one] = typed(1, ["one"]);
        let broken = Bytes::from_static(&[9, 9]);
        let rows = [one, broken.clone()];
        let refused = Code::UpdateTooLarge;
        assert_eq!(make_room_for(refused, &rows[0], &rows), (vec![1], vec![]));
        assert_eq!(make_room_for(refused, &broken, &rows), (vec![2], vec![]));
        assert_eq!(make_room_for(Code::RoomDeleted, &broken, &rows).0, [1, 2]);
    }
}
