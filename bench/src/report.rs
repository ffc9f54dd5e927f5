//! Tables to read and figures to keep.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Outcome;
use crate::options::Options;
use crate::peers::{Kind, Peer};
use crate::scenario::{Bound, Column, Measured, Scenario};

/// Everything that was measured so far.
#[derive(Debug)]
pub(crate) struct Report {
    json: PathBuf,
    scenarios: Vec<Value>,
    runs: usize,
    is_pinned: bool,
    has_failed: bool,
}

/// The medians of one server.
type Row = (Peer, Vec<f64>);

impl Report {
    pub(crate) fn new(options: &Options) -> Outcome<Self> {
        let (runs, is_pinned) = (options.runs, options.programs.is_pinned);
        let place = if is_pinned {
            "the server has core 0, the generator core 1"
        } else {
            "all share all cores"
        };
        let count = if runs == 1 {
            "one run".to_owned()
        } else {
            format!("medians of {runs} interleaved runs")
        };
        println!("{count}; {place}.");
        println!(
            "Our relay writes every update to its log on disk; the others keep documents in memory, the bare ones none."
        );
        Ok(Self {
            json: options.json.clone(),
            scenarios: Vec::new(),
            runs,
            is_pinned,
            has_failed: false,
        })
    }

    /// Prints the table of a scenario.
    pub(crate) fn add(&mut self, scenario: &Scenario, rows: &[(Peer, Vec<Measured>)]) -> Outcome {
        println!("\n## {}: {}\n", scenario.name, scenario.title);
        let medians: Vec<Row> = rows
            .iter()
            .map(|(peer, runs)| {
                (*peer, scenario.columns.iter().map(|column| median(runs, column.key)).collect())
            })
            .collect();
        print_table(scenario, &medians);
        println!();
        for goal in scenario.goals {
            let Some(at) = scenario.columns.iter().position(|column| column.key == goal.key) else {
                continue;
            };
            println!("{}", goal_line(&scenario.columns[at], at, goal.bound, &medians));
        }
        for (peer, runs) in rows {
            for problem in runs.iter().flat_map(|run| &run.problems) {
                self.has_failed |= peer.kind == Kind::Ours;
                println!("{}: {problem}", peer.title);
            }
        }
        let rows: Vec<Value> = rows
            .iter()
            .map(|(peer, runs)| {
                let runs: Vec<Value> = runs
                    .iter()
                    .map(|run| json!({ "values": run.values, "problems": run.problems }))
                    .collect();
                json!({ "server": peer.name, "runs": runs })
            })
            .collect();
        self.scenarios.push(json!({ "scenario": scenario.name, "rows": rows }));
        self.save()
    }

    fn save(&self) -> Outcome {
        let report =
            json!({ "runs": self.runs, "pinned": self.is_pinned, "scenarios": self.scenarios });
        std::fs::write(&self.json, format!("{report:#}\n"))?;
        Ok(())
    }

    pub(crate) fn finish(self) -> Outcome {
        println!("\nAll figures are in {}.", self.json.display());
        if self.has_failed {
            Err("our relay did not do everything right: see above".into())
        } else {
            Ok(())
        }
    }
}

fn median(runs: &[Measured], key: &str) -> f64 {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run.values.get(key).copied()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print_table(scenario: &Scenario, medians: &[Row]) {
    let mut lines = vec![vec!["server".to_owned()]];
    lines[0].extend(scenario.columns.iter().map(|column| column.head.to_owned()));
    for (peer, values) in medians {
        let cells = scenario.columns.iter().zip(values).enumerate().map(|(at, (column, value))| {
            let goal = scenario.goals.iter().find(|goal| goal.key == column.key);
            let best = goal.and_then(|goal| best_peer(medians, at, goal.bound));
            let ratio = best
                .filter(|_| peer.kind == Kind::Ours)
                .map(|best| format!(" ({:.2}×)", value / best));
            format!("{}{}", number(*value, column.digits), ratio.unwrap_or_default())
        });
        lines.push(std::iter::once(peer.title.to_owned()).chain(cells).collect());
    }
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        println!("  {}", cells.collect::<Vec<_>>().join("   "));
    }
}

/// A number with thin groups of thousands, or a dash.
fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{value:.digits$}");
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

fn is_least(bound: Bound) -> bool {
    matches!(bound, Bound::AtLeast(_) | Bound::AtLeastBest(_))
}

fn best_peer(medians: &[Row], at: usize, bound: Bound) -> Option<f64> {
    let values =
        medians.iter().filter(|(peer, _)| peer.kind == Kind::Peer).map(|(_, values)| values[at]);
    let values = values.filter(|value| value.is_finite());
    if is_least(bound) { values.max_by(f64::total_cmp) } else { values.min_by(f64::total_cmp) }
}

fn value_of(medians: &[Row], at: usize, name: &str) -> Option<f64> {
    let row = medians.iter().find(|(peer, _)| peer.name == name);
    row.map(|(_, values)| values[at]).filter(|value| value.is_finite())
}

fn goal_line(column: &Column, at: usize, bound: Bound, medians: &[Row]) -> String {
    let best = best_peer(medians, at, bound);
    let (limit, words) = match bound {
        Bound::AtMost(limit) => (Some(limit), "at most".to_owned()),
        Bound::AtLeast(limit) => (Some(limit), "at least".to_owned()),
        Bound::AtMostBest(times) => {
            (best.map(|best| best * times), format!("at most {times} × the best peer:"))
        }
        Bound::AtLeastBest(times) => {
            (best.map(|best| best * times), format!("at least {times} × the best peer:"))
        }
        Bound::AtMostPeer(times, name) => (
            value_of(medians, at, name).map(|value| value * times),
            format!("at most {times} × {name}:"),
        ),
        Bound::NoWorse => {
            let bare = value_of(medians, at, "one-write");
            let limit = best.into_iter().chain(bare).max_by(f64::total_cmp);
            (limit, "no worse than the best peer or bare writes:".to_owned())
        }
    };
    let Some(limit) = limit else {
        return format!("goal: {} {words} nobody to compare with", column.head);
    };
    let results =
        medians.iter().filter(|(peer, _)| peer.kind == Kind::Ours).map(|(peer, values)| {
            let value = values[at];
            let is_reached = if is_least(bound) { value >= limit } else { value <= limit };
            let verdict = if is_reached { "reached" } else { "MISSED" };
            format!("{} {} {verdict}", peer.title, number(value, column.digits))
        });
    let results: Vec<_> = results.collect();
    format!(
        "goal: {} {words} {}; {}",
        column.head,
        number(limit, column.digits),
        results.join(", ")
    )
}
