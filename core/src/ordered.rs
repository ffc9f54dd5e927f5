//! Order in little code, because code is what browsers load: a map that does for few entries what
//! `BTreeMap` does in ten times as much, and one way to sort for all kinds of lists.

use std::{iter, slice, vec};

/// Sorts by two numbers, and leaves in place what has the same. The sorting itself is compiled once.
pub fn sort_by_key<T>(items: &mut Vec<T>, key: impl Fn(&T) -> (u64, u64)) {
    if items.len() < 2 {
        return;
    }
    let mut order: Vec<_> = items.iter().map(key).zip(0_usize..).collect();
    if order.is_sorted() {
        return;
    }
    order.sort_unstable();
    let mut unsorted: Vec<_> = items.drain(..).map(Some).collect();
    let sorted = order.into_iter().filter_map(|(_, at)| unsorted.get_mut(at)?.take());
    items.extend(sorted);
}

/// A map that is iterated in the order of its keys. An insertion moves all entries behind it: for
/// rooms, tabs and the like, and not for what a peer can make many of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderedMap<K, V> {
    /// Rising.
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K, V> OrderedMap<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: Vec::new(), values: Vec::new() }
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys, in order.
    pub fn keys(&self) -> slice::Iter<'_, K> {
        self.keys.iter()
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> slice::Iter<'_, V> {
        self.values.iter()
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> slice::IterMut<'_, V> {
        self.values.iter_mut()
    }

    /// The keys alone.
    #[must_use]
    pub fn into_keys(self) -> vec::IntoIter<K> {
        self.keys.into_iter()
    }

    /// The values alone.
    #[must_use]
    pub fn into_values(self) -> vec::IntoIter<V> {
        self.values.into_iter()
    }

    /// All entries.
    pub fn iter(&self) -> iter::Zip<slice::Iter<'_, K>, slice::Iter<'_, V>> {
        self.keys.iter().zip(&self.values)
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }
}

impl<K: Ord, V> OrderedMap<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.values.get(self.keys.binary_search(key).ok()?)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(self.keys.binary_search(key).ok()?)
    }

    /// Whether there is this key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.keys.binary_search(key).is_ok()
    }

    /// Sets the value of a key; the answer is the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.keys.binary_search(&key) {
            Ok(at) => self.values.get_mut(at).map(|before| std::mem::replace(before, value)),
            Err(at) => {
                self.keys.insert(at, key);
                self.values.insert(at, value);
                None
            }
        }
    }

    /// Removes a key; the answer is its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.keys.binary_search(key).ok()?;
        self.keys.remove(at);
        Some(self.values.remove(at))
    }

    /// Removes the entries that are not wanted any more.
    pub fn retain(&mut self, mut wants: impl FnMut(&K, &V) -> bool) {
        let mut values = std::mem::take(&mut self.values).into_iter();
        let mut kept = Vec::with_capacity(values.len());
        self.keys.retain(|key| match values.next() {
            Some(value) if wants(key, &value) => {
                kept.push(value);
                true
            }
            _ => false,
        });
        self.values = kept;
    }
}

impl<K: Ord, V: Default> OrderedMap<K, V> {
    /// The value of a key; a key that is not there comes with the default.
    pub fn or_default(&mut self, key: K) -> &mut V {
        let at = self.keys.binary_search(&key).unwrap_or_else(|at| {
            self.keys.insert(at, key);
            self.values.insert(at, V::default());
            at
        });
        #[expect(clippy::indexing_slicing, reason = "found or inserted right here")]
        &mut self.values[at]
    }
}

impl<K, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> IntoIterator for OrderedMap<K, V> {
    type Item = (K, V);
    type IntoIter = iter::Zip<vec::IntoIter<K>, vec::IntoIter<V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.into_iter().zip(self.values)
    }
}

impl<'a, K, V> IntoIterator for &'a OrderedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = iter::Zip<slice::Iter<'a, K>, slice::Iter<'a, V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut OrderedMap<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = iter::Zip<slice::Iter<'a, K>, slice::IterMut<'a, V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.iter().zip(&mut self.values)
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for OrderedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Random;

    #[test]
    fn lists_are_sorted_as_the_standard_library_does() {
        let mut random = Random::from_seed(11);
        for length in 0..200 {
            let mut list: Vec<_> =
                (0..length).map(|at| (random.below(20), random.below(3), at)).collect();
            let mut expected = list.clone();
            expected.sort_by_key(|(first, second, _)| (*first, *second));
            sort_by_key(&mut list, |(first, second, _)| (*first, *second));
            assert_eq!(list, expected);
        }
    }

    #[test]
    fn it_does_what_a_tree_does() {
        let mut random = Random::from_seed(7);
        let (mut map, mut tree) = (OrderedMap::new(), BTreeMap::new());
        for step in 0..3_000_u64 {
            let key = random.below(60);
            match random.below(5) {
                0 => assert_eq!(map.remove(&key), tree.remove(&key)),
                1 => assert_eq!(map.get(&key), tree.get(&key)),
                2 => *map.or_default(key) += *tree.entry(key).and_modify(|v| *v += 1).or_insert(1),
                3 if step % 7 == 0 => {
                    map.retain(|key, value| (key + value) % 3 > 0);
                    tree.retain(|key, value| (*key + *value) % 3 > 0);
                }
                _ => assert_eq!(map.insert(key, step), tree.insert(key, step)),
            }
            if let Some(value) = tree.get(&key) {
                map.insert(key, *value);
            }
            assert!(map.iter().eq(&tree));
            assert_eq!((map.len(), map.contains_key(&key)), (tree.len(), tree.contains_key(&key)));
        }
        assert!(map.into_iter().eq(tree));
    }
}
