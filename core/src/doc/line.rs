//! The order of a list: it is written nowhere. Each struct says between which elements it was inserted,
//! and the order follows as it does for everybody who takes the structs in, one after the other.

use super::walk::Id;

/// A part of a struct that is a neighbor of others as a whole.
#[derive(Clone, Copy)]
pub(super) struct Element {
    /// The index of its struct.
    pub(super) of: usize,
    pub(super) id: Id,
    pub(super) len: u64,
}

impl Element {
    pub(super) const fn last(&self) -> Id {
        Id { clock: self.end().saturating_sub(1), ..self.id }
    }

    pub(super) const fn end(&self) -> u64 {
        self.id.clock.saturating_add(self.len)
    }
}

/// Elements that become a list: taken in one after the other, as YATA does.
#[derive(Default)]
pub(super) struct Line {
    /// By id.
    pub(super) elements: Vec<Element>,
    /// Of each element.
    pub(super) links: Vec<Link>,
    first: Option<usize>,
}

/// What an element is between, by indexes.
#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    origin: Option<usize>,
    right_origin: Option<usize>,
    /// What stands behind it.
    next: Option<usize>,
    is_met: bool,
    /// For whose place it was passed last, and in which step of that search.
    passed: Option<(usize, usize)>,
}

impl Link {
    pub(super) fn new(origin: Option<usize>, right_origin: Option<usize>) -> Self {
        Self { origin, right_origin, ..Self::default() }
    }
}

impl Line {
    fn get(&self, at: usize) -> Link {
        self.links.get(at).copied().unwrap_or_default()
    }

    fn client(&self, at: usize) -> u64 {
        self.elements.get(at).map_or(0, |it| it.id.client.get())
    }

    /// All elements as they stand.
    pub(super) fn into_order(mut self) -> Vec<Element> {
        let mut open = Vec::new();
        for first in 0..self.elements.len() {
            open.extend((!self.get(first).is_met).then_some(first));
            // First what it needs, which is in no circle; if it were, this would end all the same.
            while let Some(at) = open.last().copied() {
                let Some(link) = self.links.get_mut(at) else { break };
                link.is_met = true;
                let Link { origin, right_origin, .. } = *link;
                let before = at.checked_sub(1).filter(|it| self.client(*it) == self.client(at));
                let mut needs = [before, origin, right_origin].into_iter().flatten();
                match needs.find(|it| !self.get(*it).is_met) {
                    Some(need) => open.push(need),
                    None => {
                        open.pop();
                        self.take_in(at);
                    }
                }
            }
        }
        let mut order = Vec::with_capacity(self.elements.len());
        let mut next = self.first;
        while let Some(at) = next {
            order.extend(self.elements.get(at));
            next = self.get(at).next;
        }
        order
    }

    /// Puts an element into its place.
    fn take_in(&mut self, at: usize) {
        let Link { origin, right_origin, .. } = self.get(at);
        let client = self.client(at);
        let mut left = origin;
        let mut step = 0;
        let mut next = self.behind(origin);
        // Others between the same two: the smaller client id comes first, with all that is its.
        while let Some(other) = next.filter(|_| next != right_origin) {
            if let Some(link) = self.links.get_mut(other) {
                link.passed = Some((at, step));
            }
            let link = self.get(other);
            let passed = link.origin.and_then(|origin| self.get(origin).passed);
            if link.origin == origin {
                if self.client(other) < client {
                    left = Some(other);
                    step += 1;
                } else if link.right_origin == right_origin {
                    break;
                }
            } else if let Some((_, in_step)) = passed.filter(|it| it.0 == at) {
                if in_step < step {
                    left = Some(other);
                    step += 1;
                }
            } else {
                break;
            }
            next = link.next;
        }
        let next = self.behind(left);
        match left.map(|left| self.links.get_mut(left)) {
            Some(Some(left)) => left.next = Some(at),
            _ => self.first = Some(at),
        }
        if let Some(link) = self.links.get_mut(at) {
            link.next = next;
        }
    }

    fn behind(&self, left: Option<usize>) -> Option<usize> {
        left.map_or(self.first, |left| self.get(left).next)
    }
}
