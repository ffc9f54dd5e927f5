//! Reads how many tests passed and failed from what cargo's and Node's test runners print.

use std::ops::AddAssign;

/// A number of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Count {
    /// The sum over all closing lines in the output of a test run.
    pub(super) fn of(output: &str) -> Self {
        let mut count = Self::default();
        for line in output.lines().map(str::trim) {
            if let Some(result) = line.strip_prefix("test result: ") {
                count += Self::of_cargo(result);
            } else if let Some(result) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ "))
            {
                count += Self::of_node(result);
            }
        }
        count
    }

    /// `ok. 3 passed; 0 failed; 0 ignored; …`
    fn of_cargo(result: &str) -> Self {
        let number_before = |word: &str| {
            let phrase =
                result.split(['.', ';']).find_map(|phrase| phrase.trim().strip_suffix(word));
            phrase.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
        };
        Self { passed: number_before("passed"), failed: number_before("failed") }
    }

    /// `pass 3`, `fail 0` or `cancelled 0`, each on a line.
    fn of_node(result: &str) -> Self {
        let Some((word, number)) = result.split_once(' ') else { return Self::default() };
        let Ok(number) = number.parse() else { return Self::default() };
        match word {
            "pass" => Self { passed: number, failed: 0 },
            "fail" | "cancelled" => Self { passed: 0, failed: number },
            _ => Self::default(),
        }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.passed == 0 && self.failed == 0
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_cargo_binaries_add_up() {
        let output = "running 2 tests\ntest a ... ok\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.5s\n";
        assert_eq!(Count::of(output), Count { passed: 15, failed: 2 });
    }

    #[test]
    fn both_reporters_of_node_are_understood() {
        let tap = "# tests 9\n# suites 0\n# pass 7\n# fail 1\n# cancelled 1\n# skipped 0\n# duration_ms 81.5\n";
        assert_eq!(Count::of(tap), Count { passed: 7, failed: 2 });
        let spec = "ℹ tests 4\nℹ pass 4\nℹ fail 0\nℹ cancelled 0\n";
        assert_eq!(Count::of(spec), Count { passed: 4, failed: 0 });
    }

    #[test]
    fn output_without_a_closing_line_counts_nothing() {
        assert!(Count::of("error: could not compile\n# passed by chance\n# pass all\n").is_empty());
    }
}
