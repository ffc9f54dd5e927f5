//! Updates of many small parts: what takes more than its share of memory or time shows with them.

use coweave_core::random::Random;

use crate::bytes::Bytes;
use crate::documents::below;
use crate::inputs::Class;

/// An update of thousands of structs, each as small as its kind allows. The class says how honest
/// it is.
pub(crate) fn large_update(class: Class, random: &mut Random) -> Vec<u8> {
    let count = 1 + random.below(10_000);
    let update = match random.below(6) {
        0 => one_client(random, count),
        _ if random.chance(10) => only_deletions(count),
        1 => many_clients(random, count),
        2 => in_turn(count, 2 + random.below(5)),
        3 => holes_in_a_text(random, count),
        4 => values(random, count),
        _ => nested(count),
    };
    match class {
        Class::Random | Class::Grammar => update,
        Class::Truncated => {
            let len = below(random, update.len());
            update[..len].to_vec()
        }
        Class::BitFlips | Class::Varints | Class::Spliced => {
            let mut update = update;
            let at = below(random, update.len());
            update[at] ^= 1 << random.below(8);
            update
        }
    }
}

/// Every second element is deleted.
fn deleting_every_second(bytes: Bytes, client: u64, len: u64) -> Vec<u8> {
    let head = bytes.raw(&[1]).var(client).var(len.div_ceil(2));
    (0..len.div_ceil(2)).fold(head, |bytes, at| bytes.var(at * 2).var(1)).0
}

fn one_client(random: &mut Random, count: u64) -> Vec<u8> {
    let shape = random.below(5);
    let bytes = (0..count).fold(Bytes::section(count, 5, 0), |bytes, clock| match (shape, clock) {
        (0, _) => bytes.raw(&[0, 1]),
        (1, _) => bytes.raw(&[1, 1, 0, 1]),
        (2, _) => bytes.raw(&[4, 1, 0, 1, b'x']),
        (3, _) => bytes.raw(&[7, 1, 0, 0]),
        (_, 0) => bytes.in_root(4, "t").string("x"),
        _ => bytes.behind(4, 5, random.below(clock)).string("x"),
    });
    deleting_every_second(bytes, 5, count)
}

fn many_clients(random: &mut Random, count: u64) -> Vec<u8> {
    let with_deletions = random.chance(50);
    let shape = below(random, 3);
    let bytes = (0..count).fold(Bytes::default().var(count), |bytes, client| {
        let part: &[u8] = [&[0, 1][..], &[4, 1, 0, 1, b'x'], &[8, 1, 0, 1, 126]][shape];
        bytes.var(1).var(client).var(0).raw(part)
    });
    if !with_deletions {
        return bytes.end();
    }
    (0..count).fold(bytes.var(count), |bytes, client| bytes.var(client).raw(&[1, 0, 1])).0
}

/// Each struct stands behind the last one of the client before.
fn in_turn(count: u64, clients: u64) -> Vec<u8> {
    let each = (count / clients).max(1);
    let mut bytes = Bytes::default().var(clients);
    for client in 0..clients {
        bytes = bytes.var(each).var(client).var(0);
        for clock in 0..each {
            bytes = match (client, clock) {
                (0, 0) => bytes.in_root(4, "t"),
                (0, _) => bytes.behind(4, clients - 1, clock - 1),
                _ => bytes.behind(4, client - 1, clock),
            };
            bytes = bytes.string("x");
        }
    }
    deleting_every_second(bytes, 0, each)
}

fn holes_in_a_text(random: &mut Random, count: u64) -> Vec<u8> {
    let text = ["x", "é", "🙂"][below(random, 3)].repeat(count as usize);
    let len = text.encode_utf16().count() as u64;
    let bytes = Bytes::section(1, 5, 0).in_root(4, "t").string(&text);
    deleting_every_second(bytes, 5, len)
}

fn values(random: &mut Random, count: u64) -> Vec<u8> {
    let value: &[u8] = [&[126][..], &[117, 0], &[118, 0], &[119, 0], &[125, 1]][below(random, 5)];
    let bytes = Bytes::section(1, 5, 0).in_root(8, "a").var(count);
    let bytes = (0..count).fold(bytes, |bytes, _| bytes.raw(value));
    deleting_every_second(bytes, 5, count)
}

/// Types inside types, and JSON of many small parts.
fn nested(count: u64) -> Vec<u8> {
    let bytes = Bytes::section(count + 1, 5, 0).in_root(7, "x").raw(&[1]);
    let bytes = (0..count.saturating_sub(1))
        .fold(bytes, |bytes, clock| bytes.raw(&[7, 0]).var(5).var(clock).raw(&[1]));
    let json = format!("[{}1]", "1,".repeat(count as usize));
    let bytes = bytes.raw(&[5, 0]).var(5).var(count - 1).string(&json);
    deleting_every_second(bytes, 5, count)
}

fn only_deletions(count: u64) -> Vec<u8> {
    let bytes = Bytes(vec![0]).var(count);
    (0..count).fold(bytes, |bytes, client| bytes.var(client).raw(&[1, 0, 1])).0
}
