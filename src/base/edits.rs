//! How many typing errors lie between two words, for "did you mean".
//!
//! An edit is an insertion, a deletion, a change or a swap of neighbours (optimal string
//! alignment). Who asks says how many edits still matter: words that differ more in length are
//! not compared at all, so that a huge word costs nothing.

/// The number of edits between two words, `None` when there are more than `limit`.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "rows have a place more than `b`; a count is at most the length of both words"
)]
pub fn distance<T: PartialEq>(a: &[T], b: &[T], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut two = vec![0; b.len() + 1];
    let mut one: Vec<usize> = (0..=b.len()).collect();
    let mut row = vec![0; b.len() + 1];
    for i in 1..=a.len() {
        row[0] = i;
        let mut least = i;
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (one[j] + 1).min(row[j - 1] + 1).min(one[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(two[j - 2] + 1);
            }
            least = least.min(row[j]);
        }
        // A swap may still come from the row before, and costs one.
        if least > limit && one.iter().all(|before| *before >= limit) {
            return None;
        }
        std::mem::swap(&mut two, &mut one);
        std::mem::swap(&mut one, &mut row);
    }
    Some(one[b.len()]).filter(|edits| *edits <= limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("server", "server", 0),
            ("sever", "server", 1),
            ("servver", "server", 1),
            ("serber", "server", 1),
            ("sevrer", "server", 1),
            ("esvrer", "server", 2),
            ("kitten", "sitting", 3),
        ] {
            for (a, b) in [(a, b), (b, a)] {
                assert_eq!(
                    distance(a.as_bytes(), b.as_bytes(), 9),
                    Some(edits),
                    "{a} {b}"
                );
            }
        }
        assert_eq!(distance(&[b'a'; 1 << 20], b"server", 6), None);
    }

    proptest! {
        #[test]
        fn the_limit_only_cuts_off(a in "[abc]{0,8}", b in "[abc]{0,8}", limit in 0..9_usize) {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let all = distance(a, b, usize::MAX);
            prop_assert_eq!(distance(a, b, limit), all.filter(|edits| *edits <= limit));
        }
    }
}
